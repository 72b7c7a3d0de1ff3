# Stands in for influxdb:2.7: the server, in the folders, with the volumes and under
# the user of the official image.
FROM debian:bookworm-slim
RUN groupadd --gid 1000 influxdb && useradd --uid 1000 --gid influxdb --create-home influxdb \
    && install -d -o influxdb -g influxdb /var/lib/influxdb2 /etc/influxdb2
COPY influxd influx /usr/local/bin/
ENV INFLUXD_BOLT_PATH=/var/lib/influxdb2/influxd.bolt INFLUXD_ENGINE_PATH=/var/lib/influxdb2/engine
VOLUME /var/lib/influxdb2 /etc/influxdb2
CMD ["influxd"]
