# One image, one binary; a subcommand a service.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies and what was built of them stay in the builder's cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --features kafka-tls && cp target/release/tickwire /tickwire

FROM debian:bookworm-slim
# OpenSSL for TLS to Kafka is the system's, so that its fixes come with the base image.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates libssl3 && rm -rf /var/lib/apt/lists/*
# The folders exist here so that volumes mounted over them belong to the user.
RUN groupadd --system --gid 10001 tickwire \
    && useradd --system --uid 10001 --gid tickwire --no-create-home tickwire \
    && install -d -o tickwire -g tickwire -m 0750 /data \
        /run/tickwire/admin /run/tickwire/alerts /run/tickwire/arroyo /run/tickwire/deployer \
        /run/tickwire/engine /run/tickwire/grafana /run/tickwire/kafka /run/tickwire/kafka-ui \
        /run/tickwire/news-watcher /run/tickwire/producer /run/tickwire/sink /run/tickwire/web
COPY --from=build /tickwire /usr/local/bin/tickwire
COPY sql /usr/share/tickwire/sql
COPY udfs/*.rs /usr/share/tickwire/udfs/
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/tickwire/
USER tickwire
ENV TICKWIRE_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["tickwire"]
CMD ["up"]
