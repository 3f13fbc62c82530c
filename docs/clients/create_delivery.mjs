// Creates a delivery and survives what may happen on the way: node create_delivery.mjs HOST:PORT PRODUCT LOCATION
//
// Needs @grpc/grpc-js and @grpc/proto-loader. Exit code 2: the product can't be delivered there.
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

// From where it is started, so that the packages may lie anywhere.
const require = createRequire(process.cwd() + "/");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const DEADLINE_MS = 2000;
const ATTEMPTS = 5;
// What may go well when it is sent again. The id makes that safe: the same content under it is one delivery.
const WORTH_RETRYING = [grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED];

const [address, product_id, location_id] = process.argv.slice(2);
const options = { keepCase: true, enums: String, longs: String, includeDirs: [PROTO] };
const contract = grpc.loadPackageDefinition(loader.loadSync("candeliver/delivery/v1/delivery_service.proto", options));
// One client for the whole program: it keeps its connection, and moves when the server sends it away.
const { DeliveryService } = contract.candeliver.delivery.v1;
const delivery = new DeliveryService(address, grpc.credentials.createInsecure());

function create(order) {
  return new Promise((answered, failed) =>
    delivery.CreateDelivery(order, { deadline: Date.now() + DEADLINE_MS }, (error, answer) =>
      error ? failed(error) : answered(answer.delivery)));
}

// grpc-js leaves the details packed (google.rpc.Status): its ErrorInfo and RetryInfo are read here by hand, field by field.
function* fields(bytes) {
  for (let at = 0; at < bytes.length;) {
    const varint = () => {
      let value = 0, shift = 1, byte;
      do { byte = bytes[at++]; value += (byte & 127) * shift; shift *= 128; } while (byte & 128);
      return value;
    };
    const key = varint();
    if ((key & 7) === 0) yield [key >> 3, varint()];
    else { const length = varint(); yield [key >> 3, bytes.subarray(at, at += length)]; }
  }
}

function details(error) {
  const found = { reason: "", metadata: {}, retryMs: 0 };
  const [packed] = error.metadata.get("grpc-status-details-bin");
  for (const [number, any] of packed ? fields(packed) : []) {
    if (number !== 3) continue;
    const { 1: type, 2: value = Buffer.alloc(0) } = Object.fromEntries(fields(any));
    if (String(type).endsWith("ErrorInfo")) {
      for (const [field, part] of fields(value)) {
        if (field === 1) found.reason = String(part);
        if (field === 3) { const { 1: name, 2: text } = Object.fromEntries(fields(part)); found.metadata[name] = String(text); }
      }
    }
    if (String(type).endsWith("RetryInfo")) {
      const { 1: delay = Buffer.alloc(0) } = Object.fromEntries(fields(value));
      const { 1: seconds = 0, 2: nanos = 0 } = Object.fromEntries(fields(delay));
      found.retryMs = seconds * 1000 + nanos / 1e6;
    }
  }
  return found;
}

// Too much at once will be less when the server says; what is too much for ever comes without a time.
function isWorthRetrying(code, retryMs) {
  return WORTH_RETRYING.includes(code) || (code === grpc.status.RESOURCE_EXHAUSTED && retryMs > 0);
}

async function main() {
  const order = { delivery_id: randomUUID(), product_id, location_id, external_reference: "order-1" };
  for (let attempt = 1; ; attempt++) {
    try {
      const created = await create(order);
      console.log(created.delivery_id, created.state.replace("DELIVERY_STATE_", ""));
      return 0;
    } catch (error) {
      const { reason, metadata, retryMs } = details(error);
      if (reason === "NOT_DELIVERABLE") {
        console.log("not deliverable:", metadata.verdict_reason);
        return 2;
      }
      if (!isWorthRetrying(error.code, retryMs) || attempt === ATTEMPTS) {
        console.error(grpc.status[error.code], reason, error.details);
        return 1;
      }
      // As long as the server says, or longer each time; and by chance, so that callers don't come back together.
      await sleep(Math.max(retryMs, 50 * 2 ** attempt) * (1 + Math.random() / 2));
    }
  }
}

const code = await main();
delivery.close();
process.exit(code);
