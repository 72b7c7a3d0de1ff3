# One image, one binary; a subcommand a service.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies and what was built of them stay in the builder's cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/tickwire /tickwire

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home tickwire \
    && install -d -o tickwire -g tickwire /data
COPY --from=build /tickwire /usr/local/bin/tickwire
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/tickwire/
USER tickwire
ENV TICKWIRE_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["tickwire"]
