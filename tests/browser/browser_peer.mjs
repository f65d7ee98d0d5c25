// A browser as the client of the echo test (tests/interop/echo_test.py says what both ends do; echo_page.js does it).
//
//   browser_peer.mjs chromium|firefox client URL --hash HEX [--count N] [--closer client|server] [--close-code N]
//                    [--close-reason TEXT] [--protocols A,B] [--seconds S] [--tools FOLDER]
//
// Playwright drives Chromium, Puppeteer drives Firefox over WebDriver BiDi. WTGRAM_CHROMIUM and WTGRAM_FIREFOX may name the
// program. The browser is headless, has a new, empty profile, and never outlives this program.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options, positionals: [name, role, url] } = parseArgs({
  allowPositionals: true,
  options: {
    hash: { type: 'string' },
    count: { type: 'string', default: '1000' },
    closer: { type: 'string', default: 'client' },
    'close-code': { type: 'string', default: '0' },
    'close-reason': { type: 'string', default: '' },
    protocols: { type: 'string', default: '' },
    seconds: { type: 'string', default: '60' },
    tools: { type: 'string', default: path.join(here, '..', '..', '.tools') },
  },
});
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

const say = (report) => console.log(JSON.stringify(report));
const require = createRequire(path.join(path.resolve(options.tools), 'browser', 'package.json'));

const BROWSERS = {
  chromium: () => require('playwright-core').chromium.launch({
    executablePath: process.env.WTGRAM_CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS,
  }),
  firefox: () => require('puppeteer-core').launch({
    browser: 'firefox', executablePath: process.env.WTGRAM_FIREFOX ?? '/usr/bin/firefox-esr', headless: true,
  }),
};

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

async function main() {
  if (!BROWSERS[name] || role !== 'client' || !options.hash)
    throw new Error('usage: browser_peer.mjs chromium|firefox client URL --hash HEX [options]');
  const pages = await servePage();
  const browser = await BROWSERS[name]();
  try {
    const version = /[\d.]+/.exec(await browser.version())[0];
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${pages.address().port}/`);
    const reports = await page.evaluate((asked) => runEcho(asked), {
      url, hash: options.hash, count: Number(options.count), closer: options.closer, code: Number(options['close-code']),
      reason: options['close-reason'], protocols: options.protocols.split(',').filter(Boolean),
      seconds: Number(options.seconds),
    });
    for (const report of reports) say({ ...report, version });
    return reports.at(-1).event === 'closed' ? 0 : 1;
  } finally {
    await Promise.race([browser.close(), new Promise((resolve) => setTimeout(resolve, 10_000))]);
    pages.closeAllConnections();
    pages.close();
  }
}

// Both drivers end their browser when this process exits.
setTimeout(() => {
  say({ event: 'error', message: 'out of time' });
  process.exit(1);
}, (Number(options.seconds) + 90) * 1000).unref();
main().then(
  (code) => { process.exitCode = code; },
  (error) => {
    say({ event: 'error', message: error.stack });
    process.exitCode = 1;
  },
);
