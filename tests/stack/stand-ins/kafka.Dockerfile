# Stands in for apache/kafka: Kafka's jars and its own code that turns variables into
# settings, in the folders, with the volumes and under the user of the official image.
FROM debian:bookworm-slim
RUN useradd --uid 1000 --create-home appuser \
    && install -d -o appuser /etc/kafka/docker /etc/kafka/secrets /mnt/shared/config /opt/kafka/config /var/lib/kafka/data \
    && touch /etc/kafka/docker/server.properties /etc/kafka/docker/log4j2.yaml /etc/kafka/docker/tools-log4j2.yaml
COPY libs /opt/kafka/libs
COPY kafka-run /etc/kafka/docker/run
COPY kafka-acls.sh /opt/kafka/bin/kafka-acls.sh
USER appuser
VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]
CMD ["/etc/kafka/docker/run"]
