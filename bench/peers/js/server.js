// grpc-js as its examples show it: a CanDeliver that answers from a map.
const path = require("path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const PRODUCT = "027f21eb-dff8-5a45-a968-83723d4b7023";
const LOCATION = "552c3cc0-c918-5453-af41-5955783465e4";
const RULE = "3f0c5a0e-9d3b-5b1e-8f57-6f0f4a1d2c3b";
const REVISION = "AQGTUcbDeXvLp8MJ4bUmkQAAAAAAAAAB";

const definition = loader.loadSync("candeliver/product/v1/product_service.proto", {
  keepCase: true,
  includeDirs: [path.join(__dirname, "../../../proto")],
});
const { ProductService } = grpc.loadPackageDefinition(definition).candeliver.product.v1;

const answers = new Map([
  [
    PRODUCT + LOCATION,
    {
      decision: {
        verdict: "VERDICT_DELIVERABLE",
        reason: "REASON_ALLOWED",
        deciding_rules: [{ rule_id: RULE, version: 1 }],
        revision: REVISION,
        as_of_time: { seconds: 1795000000, nanos: 123456000 },
      },
    },
  ],
]);
const unknown = { decision: { verdict: "VERDICT_NOT_DELIVERABLE", reason: "REASON_PRODUCT_UNKNOWN" } };

const server = new grpc.Server();
server.addService(ProductService.service, {
  CanDeliver: (call, answer) => answer(null, answers.get(call.request.product_id + call.request.location_id) ?? unknown),
});
server.bindAsync(process.argv[2], grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
