// Builds what Node has outside V8's own heap, too: buffers, worker threads, zlib streams, hashes, child processes.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const zlib = require('zlib');
const fs = require('fs');
const { spawnSync, spawn } = require('child_process');

const count = Number(process.argv[2]);
const checksum = (data) => crypto.createHash('sha256').update(data).digest('hex').slice(0, 16);

function objects(seed) {
    const map = new Map();
    for (let i = 0; i < count; i++) {
        const key = `key${(i * 7919 + seed) % 50021}`;
        const list = map.get(key) || [];
        list.push({ i, text: 'x'.repeat(i % 40) });
        map.set(key, list);
    }
    for (const key of map.keys()) if (key.endsWith('3')) map.delete(key);
    return checksum(JSON.stringify([...map].sort((a, b) => (a[0] < b[0] ? -1 : 1))));
}

function buffers(seed) {
    const hash = crypto.createHash('sha256');
    let kept = [];
    for (let i = 1; i < count / 20; i++) {
        const buffer = Buffer.allocUnsafeSlow((i * 7919 * (seed + 1)) % 100000).fill(i % 251);
        kept.push(buffer);
        if (kept.length > 50) {
            const all = Buffer.concat(kept.slice(0, 20));
            hash.update(all.subarray(0, 4096));
            kept = kept.slice(25);
        }
    }
    return hash.digest('hex').slice(0, 16);
}

if (!isMainThread) {
    const shared = new Int32Array(workerData.shared);
    for (let i = 0; i < 1000; i++) Atomics.add(shared, i % shared.length, workerData.seed);
    const words = new Float64Array(20000).map((_, i) => i * workerData.seed);
    parentPort.postMessage({ line: `${objects(workerData.seed)} ${buffers(workerData.seed)}`, words }, [words.buffer]);
    return;
}

async function main() {
    console.log(objects(0), buffers(0));
    const shared = new SharedArrayBuffer(4 * 16);
    for (let turn = 0; turn < 2; turn++) {
        const answers = await Promise.all([1, 2, 3, 4].map((seed) => new Promise((resolve, reject) => {
            const worker = new Worker(__filename, { argv: process.argv.slice(2), workerData: { seed, shared } });
            worker.on('message', resolve).on('error', reject);
        })));
        for (const { line, words } of answers) console.log(line, words.reduce((a, b) => a + b));
    }
    console.log(new Int32Array(shared).join(' '));

    const data = Buffer.from(Array.from({ length: count }, (_, i) => `${i * 31 % 1009} line`).join('\n'));
    const packed = await Promise.all([1, 6, 9].map((level) => new Promise((resolve, reject) =>
        zlib.gzip(data, { level }, (error, result) => (error ? reject(error) : resolve(result))))));
    for (const one of packed) console.log(one.length, checksum(zlib.gunzipSync(one)));
    console.log(checksum(zlib.brotliDecompressSync(zlib.brotliCompressSync(data, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }))));

    const key = crypto.scryptSync('password', 'salt', 32, { N: 4096 });
    const cipher = crypto.createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
    console.log(checksum(Buffer.concat([cipher.update(data), cipher.final()])), cipher.getAuthTag().toString('hex'));

    fs.writeFileSync('data', data);
    const pieces = crypto.createHash('sha256');
    for await (const piece of fs.createReadStream('data', { highWaterMark: 7777 })) pieces.update(piece);
    console.log(pieces.digest('hex'));

    console.log(spawnSync(process.execPath, ['-e', 'console.log([..."child"].map((c) => c.repeat(1000)).join("").length)']).stdout.toString());
    const sorter = spawn('sort', ['-n']);
    sorter.stdin.end(data);
    const sorted = [];
    for await (const piece of sorter.stdout) sorted.push(piece);
    console.log(checksum(Buffer.concat(sorted)));

    console.log(checksum(data.toString().replace(/(\d+) (l)(i)/g, '$3$2 $1')), [...data.toString('base64')].length);
    console.log(checksum(JSON.stringify(Array.from({ length: 300 }, (_, i) => (BigInt(i + 2) ** 300n).toString(36)))));
}

main().then(() => { process.exitCode = 0; }, (error) => { console.error(error); process.exitCode = 1; });
