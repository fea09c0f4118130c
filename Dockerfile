# The build has Bun and the dependencies; the image has the executable, the five glibc files that it loads, their
# licences, and no shell.
# Nothing of the machine that the image is for is run here: Bun builds for it on any other, and its glibc is copied.
# A builder without BuildKit knows no BUILDPLATFORM; `linux` is then the machine that it runs on.
FROM --platform=${BUILDPLATFORM:-linux} oven/bun:1.4.5-slim AS build
WORKDIR /build
# Some loaders are looked for in /lib64, some in /lib.
RUN mkdir -p /image/tmp /image/lib /data && chmod 1777 /image/tmp && ln -s lib /image/lib64
# First what dependencies are made of, so that a change of the source does not install them again.
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY build.ts tsconfig.json LICENSE ./
COPY release ./release
COPY src ./src
ARG TARGETARCH
RUN bun build.ts --target "linux-${TARGETARCH:-$(dpkg --print-architecture)}" && mkdir /licenses && \
    bun release/parts.ts dist/hipflask.map > /licenses/THIRD-PARTY-LICENSES.txt && cp LICENSE /licenses/

FROM oven/bun:1.4.5-slim AS glibc

FROM scratch
LABEL org.opencontainers.image.title="hipflask" \
      org.opencontainers.image.description="A REST backend in one executable: describe a resource in TypeScript, run the binary." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /image /
COPY --from=glibc /usr/lib/*-linux-gnu/ld-linux-*.so.? /usr/lib/*-linux-gnu/libc.so.6 /usr/lib/*-linux-gnu/libdl.so.2 \
                  /usr/lib/*-linux-gnu/libm.so.6 /usr/lib/*-linux-gnu/libpthread.so.0 /lib/
COPY --from=glibc /usr/share/doc/libc6/copyright /licenses/glibc-copyright
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
# Mount a folder of resource files at /app/resources.
WORKDIR /app
ENV HIPFLASK_DATA=/data HIPFLASK_HOST=0.0.0.0
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/hipflask", "health"]
ENTRYPOINT ["/hipflask"]
CMD ["serve"]
COPY --from=build /licenses /licenses
# Last, so that all below it stays as it is when only the source has changed.
COPY --from=build /build/dist/hipflask /
