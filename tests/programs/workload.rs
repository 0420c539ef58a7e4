// Collections that grow, move between threads and are dropped elsewhere; layouts of every alignment.
use std::alloc::{alloc, alloc_zeroed, dealloc, realloc, Layout};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

fn collections(seed: usize, count: usize) -> u64 {
    let mut map: HashMap<String, Vec<usize>> = HashMap::new();
    let mut tree: BTreeMap<usize, Box<[u8]>> = BTreeMap::new();
    let mut queue: VecDeque<Arc<String>> = VecDeque::new();
    for i in 0..count {
        map.entry(format!("key{}", (i * 7919 + seed) % 5003)).or_default().push(i);
        tree.insert(i * 31 % 1009, vec![(i % 251) as u8; i % 3000].into_boxed_slice());
        queue.push_back(Arc::new("text".repeat(i % 20)));
        if queue.len() > 500 {
            queue.drain(..250);
        }
    }
    map.retain(|key, _| !key.ends_with('3'));
    let lists: usize = map.values().map(|list| list.iter().sum::<usize>()).sum();
    let bytes: usize = tree.values().map(|block| block.iter().map(|&b| b as usize).sum::<usize>()).sum();
    let texts: usize = queue.iter().map(|text| text.len()).sum();
    (lists + bytes * 3 + texts * 7) as u64
}

fn layouts(count: usize) -> u64 {
    let mut sum = 0u64;
    for i in 0..count {
        let align = 1usize << (i % 15);
        let size = i * 7919 % 20000 + 1;
        let layout = Layout::from_size_align(size, align).unwrap();
        unsafe {
            let at = if i % 2 == 0 { alloc(layout) } else { alloc_zeroed(layout) };
            assert!(!at.is_null() && at as usize % align == 0);
            if i % 2 == 1 {
                assert!((0..size).all(|k| *at.add(k) == 0));
            }
            at.write_bytes((i % 251) as u8, size);
            let grown = size * 2 + 1;
            let at = realloc(at, layout, grown);
            assert!(!at.is_null() && at as usize % align == 0);
            sum += (0..size).map(|k| *at.add(k) as u64).sum::<u64>();
            dealloc(at, Layout::from_size_align(grown, align).unwrap());
        }
    }
    sum
}

fn main() {
    let count: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let (sender, receiver) = mpsc::channel::<Vec<Box<usize>>>();
    let total = Arc::new(Mutex::new(0u64));
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            let (sender, total) = (sender.clone(), Arc::clone(&total));
            thread::spawn(move || {
                for part in 0..50 {
                    sender.send((0..count / 100).map(|i| Box::new(i + part + seed)).collect()).unwrap();
                }
                *total.lock().unwrap() += collections(seed, count);
            })
        })
        .collect();
    drop(sender);
    let received: usize = receiver.iter().map(|boxes| boxes.iter().map(|one| **one).sum::<usize>()).sum();
    for one in threads {
        one.join().unwrap();
    }
    println!("{} {} {}", received, total.lock().unwrap(), layouts(count / 20));
    let panicked = thread::spawn(|| {
        let _kept = vec![String::from("kept"); 100];
        std::panic::resume_unwind(Box::new("unwound".to_string()));
    });
    println!("{}", panicked.join().unwrap_err().downcast_ref::<String>().unwrap());
}
