// grpc C++'s callback server: a CanDeliver that answers from a map.

#include <grpcpp/grpcpp.h>

#include <iostream>
#include <string>
#include <unordered_map>

#include "candeliver/product/v1/product_service.grpc.pb.h"

namespace pb = candeliver::product::v1;

namespace {

constexpr char kProduct[] = "027f21eb-dff8-5a45-a968-83723d4b7023";
constexpr char kLocation[] = "552c3cc0-c918-5453-af41-5955783465e4";
constexpr char kRule[] = "3f0c5a0e-9d3b-5b1e-8f57-6f0f4a1d2c3b";
constexpr char kRevision[] = "AQGTUcbDeXvLp8MJ4bUmkQAAAAAAAAAB";

class Hello final : public pb::ProductService::CallbackService {
 public:
  Hello() {
    pb::Decision* decision = answers_[std::string(kProduct) + kLocation].mutable_decision();
    decision->set_verdict(pb::VERDICT_DELIVERABLE);
    decision->set_reason(pb::REASON_ALLOWED);
    pb::RuleRef* rule = decision->add_deciding_rules();
    rule->set_rule_id(kRule);
    rule->set_version(1);
    decision->set_revision(kRevision);
    decision->mutable_as_of_time()->set_seconds(1795000000);
    decision->mutable_as_of_time()->set_nanos(123456000);
  }

  grpc::ServerUnaryReactor* CanDeliver(grpc::CallbackServerContext* context, const pb::CanDeliverRequest* question,
                                       pb::CanDeliverResponse* answer) override {
    auto known = answers_.find(question->product_id() + question->location_id());
    if (known != answers_.end()) {
      *answer = known->second;
    } else {
      answer->mutable_decision()->set_verdict(pb::VERDICT_NOT_DELIVERABLE);
      answer->mutable_decision()->set_reason(pb::REASON_PRODUCT_UNKNOWN);
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  std::unordered_map<std::string, pb::CanDeliverResponse> answers_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: hello ADDRESS\n";
    return 2;
  }
  Hello hello;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(arguments[1], grpc::InsecureServerCredentials());
  builder.RegisterService(&hello);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return 1;
  server->Wait();
}
