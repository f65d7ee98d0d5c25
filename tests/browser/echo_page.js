// The client of tests/interop/echo_test.py in a page. Returns its reports; never throws.
'use strict';

const WINDOW = 32;
const QUIET_MS = 250;
const PAYLOAD_RANGE_BYTES = 992;
const ATTEMPTS = 10;
const ASK_CLOSE = 'please close';
const ASK_LARGE = 'large?';
const ANSWER_LARGE = 'large!';

function payload(number) {
  const bytes = new Uint8Array(8 + (number * 37) % PAYLOAD_RANGE_BYTES);
  for (let index = 0; index < bytes.length; index++) bytes[index] = (number * 31 + index) & 0xff;
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function large(marker, number, size) {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = (size * 31 + index) & 0xff;
  bytes.set(new TextEncoder().encode(marker));
  new DataView(bytes.buffer).setUint32(marker.length, number);
  return bytes;
}

const equal = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);
const after = (milliseconds, value) => new Promise((resolve) => setTimeout(resolve, milliseconds, value));

// The datagrams of a session. A read that nothing arrived for in time goes on, and the next call waits for it.
class Datagrams {
  constructor(transport) {
    this.writer = transport.datagrams.writable.getWriter();
    this.reader = transport.datagrams.readable.getReader();
    this.reading = null;
  }

  send(bytes) {
    return this.writer.write(bytes);
  }

  async receive() {
    this.reading ??= this.reader.read();
    const read = await Promise.race([this.reading, after(QUIET_MS, null)]);
    if (read === null) return null;
    this.reading = null;
    if (read.done) throw new Error('the session ended');
    return new Uint8Array(read.value);
  }
}

async function exchange(datagrams, wanted, deadline) {
  const outstanding = new Map();
  const returned = new Set();
  let next = 0, resent = 0, duplicates = 0, problem = null;
  while (returned.size < wanted && !problem) {
    for (; next < wanted && outstanding.size < WINDOW; next++) {
      outstanding.set(next, payload(next));
      await datagrams.send(outstanding.get(next));
    }
    const echo = await datagrams.receive();
    if (Date.now() > deadline) {
      problem = 'out of time';
    } else if (echo === null) {
      resent += outstanding.size;
      if (resent > 50 * wanted) problem = 'too many re-sends';
      else for (const bytes of outstanding.values()) await datagrams.send(bytes);
    } else {
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
  return { event: 'echoes', wanted, returned: returned.size, resent, duplicates, problem };
}

// Sends what `make` returns until the answer comes. Late echoes may come before it.
async function ask(datagrams, make, isAnswer) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const question = make();
    await datagrams.send(question);
    for (let answer; (answer = await datagrams.receive()) !== null;)
      if (isAnswer(question, answer)) return { sent: question.length, received: answer.length, problem: null };
  }
  return { problem: `no answer to ${ATTEMPTS} datagrams` };
}

// The largest and the smallest datagram that there can be, each way.
async function exchangeExtremes(transport, datagrams) {
  const failed = (error) => ({ problem: `${error.name}: ${error.message}` });
  const largest = await ask(datagrams, () => large(ASK_LARGE, 0, transport.datagrams.maxDatagramSize),
    (question, answer) => answer.length >= 10 && equal(answer, large(ANSWER_LARGE, question.length, answer.length)))
    .catch(failed);
  const empty = await ask(datagrams, () => new Uint8Array(0), (_, answer) => answer.length === 0).catch(failed);
  return [{ event: 'largest', ...largest }, { event: 'empty', ...empty }];
}

async function runEcho({ url, hash, count, closer, code, reason, protocols, seconds }) {
  const deadline = Date.now() + seconds * 1000;
  const value = new Uint8Array(hash.match(/../g).map((digits) => parseInt(digits, 16)));
  const options = { serverCertificateHashes: [{ algorithm: 'sha-256', value }] };
  if (protocols.length > 0) options.protocols = protocols;
  const reports = [];
  try {
    const transport = new WebTransport(url, options);
    transport.closed.catch(() => {});
    try {
      await Promise.race([transport.ready, after(60000).then(() => { throw new Error('no session within 60 s'); })]);
    } catch (error) {
      return [{ event: 'refused', status: null, message: `${error.name}: ${error.message}` }];
    }
    reports.push({ event: 'session', protocol: transport.protocol || null });
    // A browser drops what the page does not read at once, oldest first, beyond a mark that starts at 1: a burst of echoes
    // would be lost in the browser itself.
    transport.datagrams.incomingHighWaterMark = 2 * WINDOW;
    const datagrams = new Datagrams(transport);
    reports.push(await exchange(datagrams, count, deadline));
    reports.push(...await exchangeExtremes(transport, datagrams));
    if (closer === 'client') transport.close({ closeCode: code, reason });
    let closed = null;
    for (let attempt = 0; attempt < 10 && !closed; attempt++) {
      if (closer === 'server') await datagrams.send(new TextEncoder().encode(ASK_CLOSE)).catch(() => {});
      closed = await Promise.race([transport.closed, after(500, null)]);
    }
    if (!closed) throw new Error('no close was seen');
    reports.push({ event: 'closed', by: closer === 'client' ? 'local' : 'peer', code: closed.closeCode, reason: closed.reason });
  } catch (error) {
    reports.push({ event: 'error', message: `${error.name}: ${error.message}` });
  }
  return reports;
}
