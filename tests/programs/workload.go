// Blocks of C's malloc handed between goroutines, which move between threads; threads come and go.
package main

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum(const unsigned char *block, size_t size) {
    uint64_t all = 0;
    for (size_t i = 0; i < size; i++)
        all = all * 31 + block[i];
    return all;
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"unsafe"
)

type block struct {
	at   unsafe.Pointer
	size C.size_t
}

func produce(seed, rounds int, to chan<- block) {
	for i := 0; i < rounds*50; i++ {
		size := C.size_t((i*7919+seed*31)%20000 + 1)
		if i%500 == 0 {
			size *= 300
		}
		at := C.malloc(size)
		C.memset(at, C.int((i+seed)%251), size)
		if i%3 == 0 {
			size = size*3/2 + 1
			at = C.realloc(at, size)
			C.memset(at, C.int(seed), size)
		}
		to <- block{at, size}
	}
}

func main() {
	rounds, _ := strconv.Atoi(os.Args[1])
	runtime.GOMAXPROCS(8)
	blocks := make(chan block, 64)
	var producers, consumers sync.WaitGroup
	var lock sync.Mutex
	var total uint64
	for i := 0; i < 8; i++ {
		producers.Add(1)
		go func(seed int) {
			// Some keep a thread to themselves, which ends with them.
			if seed%2 == 0 {
				runtime.LockOSThread()
			}
			produce(seed, rounds, blocks)
			producers.Done()
		}(i)
	}
	for i := 0; i < 4; i++ {
		consumers.Add(1)
		go func() {
			var mine uint64
			for one := range blocks {
				mine += uint64(C.sum((*C.uchar)(one.at), one.size))
				C.free(one.at)
			}
			lock.Lock()
			total += mine
			lock.Unlock()
			consumers.Done()
		}()
	}
	producers.Wait()
	close(blocks)
	consumers.Wait()
	texts := 0
	for i := 0; i < rounds*100; i++ {
		text := C.CString(strconv.Itoa(i))
		texts += len(C.GoString(text))
		C.free(unsafe.Pointer(text))
	}
	fmt.Println(total, texts)
	fmt.Println("done")
	os.Stdin.Read(make([]byte, 1))
}
