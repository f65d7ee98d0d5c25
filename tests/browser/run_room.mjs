// run_room.mjs --server PROGRAM [--tools FOLDER]: headless Chromium, two tabs of examples/browser/room.html, one room
// (examples/broadcast_server.c).
//
// Both tabs must see the room's time and two members, and each what either of them says; when one leaves, the other sees
// one member. Exits 0 only when everything was as expected; Chromium and the server never outlive it.

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
const root = path.join(here, '..', '..');
const { values: options } = parseArgs({
  options: {
    server: { type: 'string' },
    tools: { type: 'string', default: path.join(root, '.tools') },
    seconds: { type: 'string', default: '240' },
  },
});
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const TIMEOUT_MS = 60_000;
const SENDS = 60;  // datagrams may be lost, also on loopback: what is said is said again

const check = (right, text) => { if (!right) throw new Error(text); };

async function servePage() {
  const page = readFileSync(path.join(root, 'examples', 'browser', 'room.html'));
  const pages = http.createServer((_, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page);
  });
  pages.listen(0, '127.0.0.1');
  await once(pages, 'listening');
  return pages;
}

async function openTab(context, address, name) {
  const tab = await context.newPage();
  tab.on('console', (message) => console.log(`[${name}] ${message.text()}`));
  tab.on('pageerror', (error) => console.log(`[${name}] ${error.stack}`));
  await tab.goto(address);
  await tab.waitForFunction(() => ['connected', 'failed'].includes(window.wtgramRoom.state), null, { timeout: TIMEOUT_MS });
  const state = await tab.evaluate(() => window.wtgramRoom.state);
  check(state === 'connected', `${name}: ${await tab.textContent('#status')}`);
  return tab;
}

// Says `text` in one tab until all show it, as the words of that tab.
async function sayToAll(speaker, tabs, text) {
  const from = await speaker.evaluate(() => window.wtgramRoom.name);
  const shows = (tab) => tab.evaluate(
    ([who, what]) => window.wtgramRoom.said.some((word) => word.from === who && word.text === what)
      && [...document.querySelectorAll('#said li')].some((line) => line.textContent.endsWith(what)), [from, text]);
  for (let sent = 1; sent <= SENDS; sent++) {
    await speaker.fill('#text', text);
    await speaker.click('#send');
    for (let looks = 0; looks < 10; looks++) {
      if ((await Promise.all(tabs.map(shows))).every(Boolean)) {
        console.log(`all tabs show "${text}" after ${sent} datagram(s)`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`not all tabs got "${text}"`);
}

async function main() {
  check(options.server, 'usage: run_room.mjs --server PROGRAM [--tools FOLDER]');
  const require = createRequire(path.join(path.resolve(options.tools), 'browser', 'package.json'));
  const { chromium } = require('playwright-core');
  let pages, browser, server;
  try {
    pages = await servePage();
    server = spawn(options.server, ['--seconds', options.seconds], { stdio: ['ignore', 'pipe', 'inherit'] });
    process.once('exit', () => server.kill('SIGKILL'));
    const lines = readline.createInterface({ input: server.stdout });
    const [first] = await once(lines, 'line', { signal: AbortSignal.timeout(TIMEOUT_MS) });
    lines.on('line', (line) => console.log(`[server] ${line}`));
    const [, url, hash] = /^listening on (\S+) hash ([0-9a-f]{64})$/.exec(first) ?? [];
    check(url, `the server says: ${first}`);
    browser = await chromium.launch({ executablePath: process.env.WTGRAM_CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
    console.log(`[browser] Chromium ${browser.version()}`);
    const context = await browser.newContext();
    const address = `http://127.0.0.1:${pages.address().port}/room.html#url=${url}&hash=${hash}`;
    const tabs = [await openTab(context, address, 'first'), await openTab(context, address, 'second')];
    for (const tab of tabs)
      await tab.waitForFunction(() => window.wtgramRoom.members === 2 && window.wtgramRoom.times.length >= 2, null,
        { timeout: TIMEOUT_MS });
    // One broadcast reaches both: the tabs have a time of the room's in common.
    const times = await Promise.all(tabs.map((tab) => tab.evaluate(() => window.wtgramRoom.times)));
    check(times[0].some((time) => times[1].includes(time)), `no time in common: ${JSON.stringify(times)}`);
    await sayToAll(tabs[0], tabs, 'the first tab says grüezi <b>to all</b>');
    await sayToAll(tabs[1], tabs, 'the second tab says good day');
    await tabs[1].close();
    await tabs[0].waitForFunction(() => window.wtgramRoom.members === 1, null, { timeout: TIMEOUT_MS });
    const ended = once(server, 'exit', { signal: AbortSignal.timeout(TIMEOUT_MS) });
    server.kill('SIGTERM');
    const [code] = await ended;
    check(code === 0, `the server ended with ${code}`);
    await tabs[0].waitForFunction(() => window.wtgramRoom.state === 'closed', null, { timeout: TIMEOUT_MS });
    console.log(`passed: Chromium ${browser.version()}, two tabs in one room`);
  } finally {
    server?.kill('SIGKILL');
    await browser?.close();
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
    console.log(`FAILED: ${error.stack}`);
    process.exitCode = 1;
  },
);
