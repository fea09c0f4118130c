// The part of prom-client that is used; its index brings a push gateway, clusters and OpenTelemetry along (0.4 MB).
declare module 'prom-client/lib/registry' {
  const Registry: typeof import('prom-client').Registry
  export default Registry
}
