// The version of this program, from the one place that says it. The bundler takes in that word, not the file.
export { version } from '../../package.json'
