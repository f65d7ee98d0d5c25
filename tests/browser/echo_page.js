// The client of tests/interop/echo_test.py in a page: numbered payloads out, every byte of every echo checked, what was lost
// sent again, then the close by the side that was asked for. Returns what it saw; never throws.
'use strict';

const WINDOW = 32;
const QUIET_MS = 250;
const PAYLOAD_RANGE_BYTES = 992;
const ASK_CLOSE = 'please close';

function payload(number) {
  const bytes = new Uint8Array(8 + (number * 37) % PAYLOAD_RANGE_BYTES);
  for (let index = 0; index < bytes.length; index++) bytes[index] = (number * 31 + index) & 0xff;
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

const equal = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);
const after = (milliseconds, value) => new Promise((resolve) => setTimeout(resolve, milliseconds, value));

async function exchange(transport, wanted, deadline) {
  const writer = transport.datagrams.writable.getWriter();
  const reader = transport.datagrams.readable.getReader();
  const outstanding = new Map();
  const returned = new Set();
  let next = 0, resent = 0, duplicates = 0, problem = null, reading = null;
  while (returned.size < wanted && !problem) {
    for (; next < wanted && outstanding.size < WINDOW; next++) {
      outstanding.set(next, payload(next));
      await writer.write(outstanding.get(next));
    }
    reading ??= reader.read();
    const read = await Promise.race([reading, after(QUIET_MS, null)]);
    if (Date.now() > deadline) {
      problem = 'out of time';
    } else if (read === null) {
      resent += outstanding.size;
      if (resent > 50 * wanted) problem = 'too many re-sends';
      else for (const bytes of outstanding.values()) await writer.write(bytes);
    } else if (read.done) {
      problem = 'the session ended';
    } else {
      reading = null;
      const echo = new Uint8Array(read.value);
      const number = echo.length >= 4 ? new DataView(echo.buffer, echo.byteOffset).getUint32(0) : wanted;
      if (returned.has(number)) {
        duplicates++;  // the answer to a re-send whose first answer was only late
      } else if (outstanding.has(number) && equal(outstanding.get(number), echo)) {
        outstanding.delete(number);
        returned.add(number);
      } else {
        problem = `a datagram of ${echo.length} bytes that was never sent`;
      }
    }
  }
  return { writer, echoes: { wanted, returned: returned.size, resent, duplicates, problem } };
}

async function runEcho({ url, hash, count, closer, code, reason, seconds }) {
  const deadline = Date.now() + seconds * 1000;
  const value = new Uint8Array(hash.match(/../g).map((digits) => parseInt(digits, 16)));
  const seen = {};
  let step = 'connect';
  try {
    const transport = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
    transport.closed.catch(() => {});
    await Promise.race([transport.ready, after(60000).then(() => { throw new Error('no session within 60 s'); })]);
    seen.maxDatagramSize = transport.datagrams.maxDatagramSize;
    // What the page does not read at once Chromium drops, oldest first, beyond a mark that starts at 1: a burst of echoes
    // would be lost in the browser itself.
    seen.incomingHighWaterMark = transport.datagrams.incomingHighWaterMark;
    transport.datagrams.incomingHighWaterMark = 2 * WINDOW;
    step = 'exchange';
    const { writer, echoes } = await exchange(transport, count, deadline);
    seen.echoes = echoes;
    step = 'close';
    if (closer === 'client') transport.close({ closeCode: code, reason });
    for (let attempt = 0; attempt < 10 && !seen.closed; attempt++) {
      if (closer === 'server') await writer.write(new TextEncoder().encode(ASK_CLOSE)).catch(() => {});
      seen.closed = await Promise.race([transport.closed, after(500, null)]);
    }
    if (seen.closed) seen.closed = { code: seen.closed.closeCode, reason: seen.closed.reason };
  } catch (error) {
    seen.error = `${step}: ${error.name}: ${error.message}`;
  }
  return seen;
}
