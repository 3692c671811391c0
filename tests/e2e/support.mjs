// What the tests stand on: processes whose output can be awaited, the playground, the adapter, the official clients,
// a browser. Everything awaited has a deadline, so that a hang is a failure that tells what was awaited.

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

/** Far beyond what a busy machine needs: nothing is ever decided by its passing. */
const DEADLINE = 60_000;
const { PLAYGROUND, ADAPTER, PYTHON, CHROMIUM, HOME_OF_BROWSER } = process.env;

/** Texts that something on their way could mistake for something else. */
export const AWKWARD = [
  'a|b||c|', '50% off, 100%25 sure', '1 + 1 = 2', 'CHAT|CHAT|', ' leading and trailing ', '#', '$', '^', '^3', '#x', '%', '+', '|',
  'two\nlines', 'carriage\r\nreturn', 'tab\there', 'è ñ 漢字 עברית', '👩‍👩‍👧 😀', '&=?;,', '"\'\\`', '\u0001 control', 'REQOK,1', '\u2028 separator',
];

/** Something that happens in steps and can be awaited: a list that grows, until it is closed. */
export class Events {
  list = [];
  #waiting = new Set();
  #isClosed = false;

  push(event) {
    this.list.push(event);
    this.#wake();
  }

  /** There will be no more. */
  close() {
    this.#isClosed = true;
    this.#wake();
  }

  #wake() {
    for (const look of [...this.#waiting]) look();
  }

  /** Awaits an event that satisfies a condition, from a position in the list on. */
  async next(what, condition, from = 0) {
    return (await this.all(what, 1, condition, from))[0];
  }

  /** Awaits so many of them. */
  all(what, count, condition, from = 0) {
    return new Promise((resolve, reject) => {
      const settle = (act) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        act();
      };
      const fail = () => settle(() => {
        const last = this.list.slice(-25).map((event) => JSON.stringify(event).slice(0, 300)).join('\n  ');
        reject(new Error(`awaited in vain: ${what} (${count}); the last that happened:\n  ${last}`));
      });
      const look = () => {
        const found = this.list.slice(from).filter(condition);
        if (found.length >= count) settle(() => resolve(found.slice(0, count)));
        else if (this.#isClosed) fail();
      };
      const timer = setTimeout(fail, DEADLINE);
      this.#waiting.add(look);
      look();
    });
  }
}

// Nothing outlives the tests, however they end.
const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

/** A child process; its lines are events. */
export class Process {
  lines = new Events();

  constructor(command, args, { env = process.env, stdin = 'ignore' } = {}) {
    this.child = spawn(command, args, { env, stdio: [stdin, 'pipe', 'pipe'] });
    running.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop();
        for (const line of lines) this.lines.push(line);
      });
    }
    this.ended = new Promise((resolve) => this.child.on('close', (code, signal) => {
      running.delete(this.child);
      this.lines.close();
      resolve({ code, signal });
    }));
    this.child.on('error', (error) => this.lines.push(`cannot run ${command}: ${error.message}`));
  }

  line(pattern, from = 0) {
    return this.lines.next(`a line like ${pattern}`, (line) => pattern.test(line), from);
  }

  /** Ends it and awaits its end. */
  async end(signal = 'SIGTERM') {
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), DEADLINE);
    const how = await this.ended;
    clearTimeout(timer);
    return how;
  }
}

/** The playground, by default on ports that the system gives. */
export async function startPlayground({ http = 0, metadata = 0, data = 0, args = [] } = {}) {
  const process = new Process(PLAYGROUND, ['--lines', '--http', http, '--metadata_rrport', metadata, '--data_rrport', data, ...args].map(String));
  const address = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(await process.line(/http:\/\//))[1];
  const ports = /(?:ports |--metadata_rrport )(\d+)(?: and | --data_rrport )(\d+)/.exec(
    await process.line(/ports \d|--metadata_rrport \d/));
  const playground = { process, http: Number(address), metadata: Number(ports[1]), data: Number(ports[2]) };
  playground.url = `http://127.0.0.1:${address}/`;
  if (!args.includes('--no-adapter')) await adapterIsThere(process);
  return playground;
}

/** Awaits the moment when both Proxies serve an adapter. */
export async function adapterIsThere(process, from = 0) {
  await process.line(/^\* metadata: ARI .* agreed/, from);
  await process.line(/^\* data: ARI .* agreed/, from);
}

/** The real binary, against a playground's Proxies. */
export function startAdapter({ metadata, data }, args = []) {
  return new Process(ADAPTER, ['--host', '127.0.0.1', '--metadata_rrport', `${metadata}`, '--data_rrport', `${data}`, ...args]);
}

/** What official clients have in common: their events, and the ways to await them. */
class Client {
  events = new Events();

  get position() { return this.events.list.length; }

  status(status, from = 0) {
    return this.events.next(`status ${status}`, (event) => event.kind === 'status' && event.status === status, from);
  }

  update(text, { from = 0, room = 'room' } = {}) {
    return this.events.next(`the update ${JSON.stringify(text).slice(0, 80)}`,
      (event) => event.kind === 'update' && event.room === room && event.message === text, from);
  }

  /** The texts of updates so far, in their order. */
  texts(from = 0, room = 'room') {
    return this.events.list.slice(from).filter((event) => event.kind === 'update' && event.room === room).map((event) => event.message);
  }

  outcome(message, from = 0) {
    return this.events.next(`the outcome of ${JSON.stringify(message).slice(0, 80)}`,
      (event) => event.kind === 'outcome' && event.message === message, from);
  }

  async join(room = 'room') {
    const from = this.position;
    await this.subscribe(room);
    await this.events.next('the end of the snapshot', (event) => event.kind === 'snapshot end' && event.room === room, from);
  }

  say(text) { return this.send(`CHAT|${text}`, null); }
}

/** The official Python client, in a process of its own. */
export class PythonClient extends Client {
  #process;

  constructor(url) {
    super();
    this.#process = new Process(PYTHON, ['chat_client.py', url], { stdin: 'pipe' });
    this.#process.lines.push = (line) => {
      try { this.events.push(JSON.parse(line)); } catch { this.events.push({ kind: 'noise', line }); }
    };
    this.#process.ended.then(() => this.events.close());
  }

  #command(command) { this.#process.child.stdin.write(`${JSON.stringify(command)}\n`); }

  send(send, sequence) { this.#command({ send, sequence }); }
  subscribe(subscribe, group = 'chat_room') { this.#command({ subscribe, group }); }
  unsubscribe(unsubscribe) { this.#command({ unsubscribe }); }
  leave() { this.#command({ end: true }); return this.#process.ended; }
  end() { return this.#process.end(); }
}

/** The official web client, on a page of a browser, which comes from a server of its own as pages mostly do. */
export class WebClient extends Client {
  #page;
  #server;

  static async open(browser, url) {
    const client = new WebClient();
    const files = {
      '/official.html': ['text/html', 'official.html'],
      '/lightstreamer.min.js': ['text/javascript', 'node_modules/lightstreamer-client-web/lightstreamer.min.js'],
    };
    client.#server = createServer(async (request, response) => {
      const [type, file] = files[new URL(request.url, url).pathname] ?? [];
      if (file) response.writeHead(200, { 'Content-Type': type }).end(await readFile(file));
      else response.writeHead(404).end();
    });
    await new Promise((listening) => client.#server.listen(0, '127.0.0.1', listening));
    client.#page = await browser.newPage();
    client.#page.on('pageerror', (error) => client.events.push({ kind: 'page error', text: error.message }));
    await client.#page.exposeFunction('tell', (event) => client.events.push(event));
    const server = `http://127.0.0.1:${client.#server.address().port}`;
    await client.#page.goto(`${server}/official.html?server=${encodeURIComponent(url)}`);
    return client;
  }

  send(message, sequence) { return this.#page.evaluate(([m, s]) => send(m, s), [message, sequence]); }
  subscribe(room, group = 'chat_room') { return this.#page.evaluate(([r, g]) => subscribe(r, g), [room, group]); }
  unsubscribe(room) { return this.#page.evaluate((r) => unsubscribe(r), room); }

  async end() {
    await this.#page.close();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export function launchBrowser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    // Scroll bars that take room are those that show whether columns stand below each other.
    ignoreDefaultArgs: ['--hide-scrollbars'],
    env: { ...process.env, HOME: HOME_OF_BROWSER },
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}
