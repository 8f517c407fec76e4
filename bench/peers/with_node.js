// The works in Node, those for which it has something of its own: node --expose-gc with_node.js WORK [ARGUMENTS]
'use strict';

const fs = require('fs');
const net = require('net');

const turn = () => new Promise(setImmediate);
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function switchTasks(tasks, switches) {
  const rounds = Math.floor(switches / tasks);
  const spin = async () => {
    for (let i = 0; i < rounds; i++) await turn();
  };
  await Promise.all(Array.from({ length: tasks }, spin));
  return rounds * tasks;
}

async function spawn(count) {
  const body = async (x) => x;
  for (let batch = 0; batch < count / 1000; batch++) {
    const tasks = Array.from({ length: 1000 }, (_, i) => body(i));
    for (let i = 0; i < 1000; i++) if ((await tasks[i]) !== i) throw new Error('wrong result');
  }
  return count;
}

async function timers(tasks, sleeps) {
  const doze = async () => {
    for (let i = 0; i < sleeps; i++) await sleep(Math.random() * 0.01);
  };
  await Promise.all(Array.from({ length: tasks }, doze));
  return tasks * sleeps;
}

function settledBytes() {
  global.gc();
  return Number(/VmRSS:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

async function parked(tasks) {
  const before = settledBytes();
  for (let i = 0; i < tasks; i++) {
    (async () => {
      await sleep(3600);
    })();
  }
  await turn();
  console.log('bytes', Math.round((settledBytes() - before) / tasks));
  process.exit(0);
}

function echo() {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => socket.write(data));
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => console.log('port', server.address().port));
}

async function measure(work, args) {
  const began = process.cpuUsage();
  const count = await work(...args);
  const spent = process.cpuUsage(began);
  console.log('ns', (((spent.user + spent.system) * 1e3) / count).toFixed(1));
}

const [name, ...args] = process.argv.slice(2);
if (name === 'echo') echo();
else measure({ switch: switchTasks, spawn, timers, parked }[name], args.map(Number));
