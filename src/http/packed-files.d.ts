// What `import … with { type: 'file' }` gives of the compressed files that build.ts makes: the path of a file that the
// executable carries.
declare module '*.gz' {
  const path: string
  export default path
}
declare module '*.zst' {
  const path: string
  export default path
}
