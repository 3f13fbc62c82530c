# One static program an image, and nothing else: no shell, no libc, no package to update. `scripts/image` builds the programs,
# then the images; any builder takes it so:
#   docker build --target product -t candeliver/product:0.1.0 .
FROM scratch AS product
COPY target/image/product /product
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 50051 9090
ENTRYPOINT ["/product"]

FROM scratch AS delivery
COPY target/image/delivery /delivery
USER 65532:65532
EXPOSE 50051 9090
ENTRYPOINT ["/delivery"]

# For who writes the catalogue: speaks to both services, and is none.
FROM scratch AS candeliver
COPY target/image/candeliver /candeliver
USER 65532:65532
ENTRYPOINT ["/candeliver"]
