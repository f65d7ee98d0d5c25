// run_browser.mjs --ours PROGRAM [--tools FOLDER] [--count N]: headless Chromium against our C server (tests/interop/peer.c).
//
// A page on 127.0.0.1 opens a session with the certificate's hash, exchanges all datagrams both ways and closes; our server must
// have seen the page's code and reason. In a second session the server closes, and the page must have seen its.
// Exits 0 only when everything was as expected; Chromium and the server never outlive it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    ours: { type: 'string' },
    tools: { type: 'string', default: path.join(here, '..', '..', '.tools') },
    count: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '240' },
  },
});
const CLIENT_CLOSE = { code: 4711, reason: 'the page says good-bye, grüezi' };
const SERVER_CLOSE = { code: 1234567, reason: 'the server says good-bye, adiós' };
const PATH = '/echo/now?x=1';
const FEW = 100;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

class Failure extends Error {}
const check = (right, text) => { if (!right) throw new Failure(text); };
const within = (promise, seconds, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failure(`${what}: nothing within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

// Our server, as a stream of the JSON objects that it prints.
class Server {
  constructor(program) {
    const words = ['server', '--sessions', '2', '--close-code', String(SERVER_CLOSE.code),
      '--close-reason', SERVER_CLOSE.reason, '--seconds', options.seconds];
    console.log(`[server] $ ${program} ${words.join(' ')}`);
    this.process = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.exited = new Promise((resolve, reject) => {
      this.process.once('exit', (code, signal) => resolve(code ?? signal));
      this.process.once('error', reject);
    });
    this.exited.catch(() => {});
    process.once('exit', () => this.process.kill('SIGKILL'));  // also when a signal ends us: Playwright exits on SIGTERM
    this.lines = readline.createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async next(kind) {
    for (;;) {
      const { value: line, done } = await this.lines.next();
      check(!done, `the server ended before '${kind}'`);
      console.log(`[server] ${line}`);
      const event = JSON.parse(line);
      check(event.event !== 'error', `the server says: ${line}`);
      if (event.event === kind) return event;
    }
  }

  wait(kind, seconds = 60) {
    return within(this.next(kind), seconds, `the server's '${kind}'`);
  }
}

async function servePage() {
  const script = readFileSync(path.join(here, 'echo_page.js'));
  const pages = http.createServer((request, response) => {
    const isScript = request.url === '/echo_page.js';
    response.setHeader('content-type', isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
    response.end(isScript ? script : '<!doctype html><title>echo</title><script src="echo_page.js"></script>');
  });
  pages.listen(0, '127.0.0.1');
  await once(pages, 'listening');
  return pages;
}

async function oneSession(server, page, listening, closer, count) {
  const closing = closer === 'client' ? CLIENT_CLOSE : SERVER_CLOSE;
  const url = `https://127.0.0.1:${listening.port}${PATH}`;
  const request = { url, hash: listening.hash, count, closer, seconds: Number(options.seconds) / 3, ...CLIENT_CLOSE };
  const running = page.evaluate((asked) => runEcho(asked), request);
  running.catch(() => {});
  // The page's own account first: it says best why there is no session.
  const seen = await within(running, request.seconds + 20, 'the page');
  console.log(`[page] ${JSON.stringify(seen)}`);
  check(!seen.error, `the page says: ${seen.error}`);
  check(seen.echoes.returned === count && !seen.echoes.problem, `the page's echoes: ${JSON.stringify(seen.echoes)}`);
  check(seen.closed?.code === closing.code && seen.closed.reason === closing.reason,
    `the page saw the close ${JSON.stringify(seen.closed)}, expected ${JSON.stringify(closing)}`);

  const session = await server.wait('session');
  check(session.path === PATH, `the server saw the path ${session.path}, expected ${PATH}`);
  const closed = await server.wait('closed');
  check(closed.by === (closer === 'client' ? 'peer' : 'local') && closed.code === closing.code && closed.reason === closing.reason,
    `the server saw the close ${JSON.stringify(closed)}, expected ${JSON.stringify(closing)}`);
  check(closed.echoed >= count, `the server echoed ${closed.echoed} datagrams, expected at least ${count}`);
}

async function main() {
  check(options.ours, 'usage: run_browser.mjs --ours PROGRAM [--tools FOLDER] [--count N]');
  const require = createRequire(path.join(path.resolve(options.tools), 'browser', 'package.json'));
  let chromium;
  try {
    ({ chromium } = require('playwright-core'));
  } catch (error) {
    throw new Failure(`playwright-core is not installed (run tests/browser/setup.sh): ${error.message}`);
  }
  let pages, browser, server;
  try {
    pages = await servePage();
    server = new Server(options.ours);
    const listening = await server.wait('listening');
    // A new, empty profile each time is what launch() gives.
    browser = await chromium.launch({ executablePath: process.env.WTGRAM_CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
    console.log(`[browser] Chromium ${browser.version()}`);
    const page = await browser.newPage();
    page.on('console', (message) => console.log(`[page] ${message.text()}`));
    await page.goto(`http://127.0.0.1:${pages.address().port}/`);
    await oneSession(server, page, listening, 'client', Number(options.count));
    await oneSession(server, page, listening, 'server', FEW);
    const code = await within(server.exited, 15, "the server's end");
    check(code === 0, `the server ended with ${code}`);
    console.log(`passed: Chromium ${browser.version()}, ${options.count} datagrams both ways, both closes`);
  } finally {
    server?.process.kill('SIGKILL');
    await within(Promise.resolve(browser?.close()), 10, 'the end of Chromium').catch((error) => console.log(error.message));
    pages?.closeAllConnections();
    pages?.close();
  }
}

const limit = setTimeout(() => {
  console.log(`FAILED: not done after ${options.seconds} s`);
  process.exit(1);  // Playwright kills its browser when this process ends
}, Number(options.seconds) * 1000);
main().then(
  () => clearTimeout(limit),
  (error) => {
    clearTimeout(limit);
    console.log(`FAILED: ${error instanceof Failure ? error.message : error.stack}`);
    process.exitCode = 1;
  },
);
