// grpc-go as its examples show it: a CanDeliver that answers from a map.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/golang/protobuf/ptypes/timestamp"
	"google.golang.org/grpc"

	pb "candeliver/product/v1"
)

const (
	product  = "027f21eb-dff8-5a45-a968-83723d4b7023"
	location = "552c3cc0-c918-5453-af41-5955783465e4"
	rule     = "3f0c5a0e-9d3b-5b1e-8f57-6f0f4a1d2c3b"
	revision = "AQGTUcbDeXvLp8MJ4bUmkQAAAAAAAAAB"
)

type pair struct{ product, location string }

type server struct {
	pb.UnimplementedProductServiceServer
	answers map[pair]*pb.CanDeliverResponse
}

func (s *server) CanDeliver(_ context.Context, question *pb.CanDeliverRequest) (*pb.CanDeliverResponse, error) {
	if answer, known := s.answers[pair{question.ProductId, question.LocationId}]; known {
		return answer, nil
	}
	return &pb.CanDeliverResponse{Decision: &pb.Decision{
		Verdict: pb.Verdict_VERDICT_NOT_DELIVERABLE,
		Reason:  pb.Reason_REASON_PRODUCT_UNKNOWN,
	}}, nil
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: hello ADDRESS")
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	answer := &pb.CanDeliverResponse{Decision: &pb.Decision{
		Verdict:       pb.Verdict_VERDICT_DELIVERABLE,
		Reason:        pb.Reason_REASON_ALLOWED,
		DecidingRules: []*pb.RuleRef{{RuleId: rule, Version: 1}},
		Revision:      revision,
		AsOfTime:      &timestamp.Timestamp{Seconds: 1795000000, Nanos: 123456000},
	}}
	hello := grpc.NewServer()
	pb.RegisterProductServiceServer(hello, &server{answers: map[pair]*pb.CanDeliverResponse{{product, location}: answer}})
	log.Fatal(hello.Serve(listener))
}
