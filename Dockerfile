# One image, one binary; a subcommand a service.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies and what was built of them stay in the builder's cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/tickwire /tickwire

FROM debian:bookworm-slim
# The folders exist here so that volumes mounted over them belong to the user.
RUN groupadd --system --gid 10001 tickwire \
    && useradd --system --uid 10001 --gid tickwire --no-create-home tickwire \
    && install -d -o tickwire -g tickwire -m 0750 /data \
        /run/tickwire/admin /run/tickwire/arroyo /run/tickwire/deployer \
        /run/tickwire/grafana /run/tickwire/sink /run/tickwire/web
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
