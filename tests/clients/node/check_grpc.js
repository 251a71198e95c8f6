// Checks a server with the client that Node's programs use: `node check_grpc.js '{"address": …, "aging": …, "root": …, "modules": …}'`.
// Prints one JSON object: for each check null, or what went wrong.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const { createRequire } = require("node:module");

const told = JSON.parse(process.argv[2]);
const grpc = createRequire(`${told.modules}/`)("@grpc/grpc-js");

const SERVICE = "/inference.GRPCInferenceService";
const UNLIMITED = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
const asIs = (bytes) => bytes;

function connect(options = {}, address = told.address) {
  const credentials = told.root ? grpc.credentials.createSsl(fs.readFileSync(told.root)) : grpc.credentials.createInsecure();
  return new grpc.Client(address, credentials, { ...UNLIMITED, ...options });
}

function within(seconds) {
  return { deadline: Date.now() + seconds * 1000 };
}

// Resolves to all that is seen of a unary call: its answer or error, and the metadata behind it.
function ask(client, method, message, metadata = new grpc.Metadata(), options = within(20)) {
  return new Promise((resolve) => {
    const seen = {};
    const call = client.makeUnaryRequest(`${SERVICE}/${method}`, asIs, asIs, message, metadata, options, (error, answer) => {
      Object.assign(seen, { error, answer });
    });
    call.on("status", (status) => setImmediate(() => resolve({ ...seen, status })));
  });
}

// Resolves to the messages and the end of a call that streams.
function listen(call) {
  return new Promise((resolve) => {
    const messages = [];
    let error = null;
    call.on("data", (message) => messages.push(message.toString()));
    call.on("error", (raised) => (error = raised));
    call.on("status", (status) => setImmediate(() => resolve({ messages, status, error })));
  });
}

const checks = {
  async unary(client) {
    const { error, answer } = await ask(client, "Echo", Buffer.from("ping"));
    assert.equal(error, null);
    assert.equal(answer.toString(), "ping");
  },

  async empty_message(client) {
    assert.equal((await ask(client, "Echo", Buffer.alloc(0))).answer.length, 0);
  },

  async metadata_both_ways(client) {
    const metadata = new grpc.Metadata();
    metadata.set("x-mine", "is this");
    metadata.set("x-mine-bin", Buffer.from([0, 255, 10]));
    const { status } = await ask(client, "Echo", Buffer.from("ping"), metadata);
    assert.deepEqual(status.metadata.get("heard"), ["is this"]);
    assert.deepEqual(status.metadata.get("raw-bin"), [Buffer.from("abc")]);
  },

  async error_with_its_words(client) {
    const { error, status } = await ask(client, "Fail", Buffer.from("ping"));
    assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
    assert.equal(error.details, "100 % wrong: ü");
    assert.deepEqual(status.metadata.get("why"), ["so"]);
  },

  async unknown_method(client) {
    const { error } = await ask(client, "Nothing", Buffer.from("ping"));
    assert.equal(error.code, grpc.status.UNIMPLEMENTED);
  },

  async deadline(client) {
    const { error } = await ask(client, "Wait", Buffer.from("deadline"), new grpc.Metadata(), within(0.2));
    assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
  },

  async cancelled_call(client) {
    const error = await new Promise((resolve) => {
      const call = client.makeUnaryRequest(`${SERVICE}/Wait`, asIs, asIs, Buffer.from("cancel"), within(20), resolve);
      setTimeout(() => call.cancel(), 100);
    });
    assert.equal(error.code, grpc.status.CANCELLED);
  },

  async large_message(client) {
    const large = Buffer.alloc(8 << 20, "penstock");
    assert.ok(large.equals((await ask(client, "Echo", large)).answer));
  },

  async message_above_the_limit(client) {
    const { error } = await ask(client, "Echo", Buffer.alloc((16 << 20) + 1));
    assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
  },

  async compressed_messages() {
    const client = connect({ "grpc.default_compression_algorithm": 2 });
    const { answer } = await ask(client, "Echo", Buffer.alloc(100_000, "again "));
    assert.equal(answer.length, 100_000);
    client.close();
  },

  async many_calls_at_once(client) {
    const asked = Array.from({ length: 500 }, (_, number) => ask(client, "Echo", Buffer.from(`${number}`)));
    const answers = (await Promise.all(asked)).map(({ answer }) => answer.toString());
    assert.deepEqual(answers, answers.map((_, number) => `${number}`));
  },

  async stream_from_the_server(client) {
    const { messages, status } = await listen(client.makeServerStreamRequest(`${SERVICE}/Stream`, asIs, asIs, Buffer.from("many"), within(20)));
    assert.equal(messages.length, 100);
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(status.metadata.get("end"), ["reached"]);
  },

  async stream_from_the_client(client) {
    const answer = await new Promise((resolve, reject) => {
      const call = client.makeClientStreamRequest(`${SERVICE}/Stream`, asIs, asIs, within(20), (error, message) => (error ? reject(error) : resolve(message)));
      call.write(Buffer.from("quiet"));
      call.write(Buffer.from("last"));
      call.end();
    });
    assert.equal(answer.toString(), "last");
  },

  async stream_both_ways(client) {
    const call = client.makeBidiStreamRequest(`${SERVICE}/Stream`, asIs, asIs, within(20));
    const heard = listen(call);
    for (let number = 0; number < 10; number += 1) {
      const echoed = new Promise((resolve) => call.once("data", resolve));
      call.write(Buffer.from(`${number}`));
      assert.equal((await echoed).toString(), `${number}`); // one by one: no answer waits for the next question
    }
    call.end();
    assert.equal((await heard).messages.length, 10);
  },

  async stream_that_fails(client) {
    const call = client.makeBidiStreamRequest(`${SERVICE}/Stream`, asIs, asIs, within(20));
    const heard = listen(call);
    call.write(Buffer.from("one"));
    call.write(Buffer.from("fail"));
    const { messages, status } = await heard;
    assert.deepEqual(messages, ["one"]);
    assert.equal(status.code, grpc.status.INVALID_ARGUMENT);
  },

  async cancelled_stream(client) {
    const call = client.makeBidiStreamRequest(`${SERVICE}/Stream`, asIs, asIs, within(20));
    const heard = listen(call);
    call.write(Buffer.from("wait"));
    await new Promise((resolve) => call.once("data", resolve)); // what is still to be written would become the end of the stream
    call.cancel();
    assert.equal((await heard).status.code, grpc.status.CANCELLED);
  },

  async stream_of_large_messages(client) {
    const call = client.makeBidiStreamRequest(`${SERVICE}/Stream`, asIs, asIs, within(20));
    const heard = listen(call);
    for (let number = 0; number < 4; number += 1) call.write(Buffer.alloc(1 << 20, "x"));
    call.end();
    assert.deepEqual((await heard).messages.map((message) => message.length), Array(4).fill(1 << 20));
  },

  async connections_that_age_lose_no_call() {
    const client = connect({}, told.aging);
    const peers = new Set();
    while (peers.size < 3) {
      const { error, status } = await ask(client, "Echo", Buffer.from("ping"));
      assert.equal(error, null);
      peers.add(status.metadata.get("peer")[0]);
    }
    client.close();
  },
};

async function main() {
  const verdicts = {};
  const client = connect();
  for (const [name, check] of Object.entries(checks)) {
    verdicts[name] = await check(client).then(() => null, (error) => `${error.stack}`);
  }
  client.close();
  console.log(JSON.stringify(verdicts));
}

main();
