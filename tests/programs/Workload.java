import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/** Many short threads and what the JVM takes from malloc: direct buffers, zlib, class loading, compilation. */
public class Workload {
    static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte one : bytes) text.append(String.format("%02x", one));
        return text.substring(0, 16);
    }

    static String work(int seed) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        List<ByteBuffer> kept = new ArrayList<>();
        for (int i = 1; i < 60; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(i * 7919 * (seed + 1) % 200000 + 8);
            while (buffer.remaining() >= 4) buffer.putInt(i * seed);
            buffer.flip();
            kept.add(buffer);
            if (kept.size() > 10) digest.update(kept.remove(i % 10));
        }
        byte[] text = new byte[50000], packed = new byte[60000], again = new byte[50000];
        for (int i = 0; i < text.length; i++) text[i] = (byte) ("word" + i / 7 * seed).hashCode();
        Deflater deflater = new Deflater(1 + seed % 9);
        deflater.setInput(text);
        deflater.finish();
        int length = deflater.deflate(packed);
        deflater.end();
        Inflater inflater = new Inflater();
        inflater.setInput(packed, 0, length);
        int unpacked = inflater.inflate(again);
        inflater.end();
        digest.update(again, 0, unpacked);
        TreeMap<String, Integer> map = new TreeMap<>();
        for (int i = 0; i < 20000; i++) map.merge("key" + i * seed % 997, i, Integer::sum);
        digest.update(map.toString().getBytes("UTF-8"));
        return seed + " " + unpacked + " " + hex(digest.digest());
    }

    public static void main(String[] arguments) throws Exception {
        int tasks = Integer.parseInt(arguments[0]);
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<String>> answers = new ArrayList<>();
        for (int i = 1; i <= tasks; i++) {
            int seed = i;
            answers.add(pool.submit((Callable<String>) () -> work(seed)));
        }
        for (Future<String> answer : answers) System.out.println(answer.get());
        pool.shutdown();
        int[] sum = new int[1];
        for (int round = 0; round < tasks; round++) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                int number = round * 10 + i;
                Thread thread = new Thread(() -> {
                    ByteBuffer buffer = ByteBuffer.allocateDirect(1000 + number);
                    buffer.putInt(0, number);
                    synchronized (sum) {
                        sum[0] += buffer.getInt(0);
                    }
                });
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) thread.join();
        }
        System.out.println(sum[0]);
        System.gc();
    }
}
