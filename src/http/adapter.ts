// How Elysia is used here: it finds the handler of a request, and does nothing before or behind it. It must not import
// what serves.
import { WebStandardAdapter } from 'elysia/adapter/web-standard'

/** What a handler gave is a Response, or one day will be: Elysia would wait for it once more to look what it is. */
function asItIs(response: unknown): unknown {
  return response
}

/** Of what Elysia gives to handlers these take the request and what its path says; `set` is for errors of its own. */
const CONTEXT = `
const url = r.url, s = url.indexOf('/', 7), qi = url.indexOf('?', s + 1), p = url.substring(s, qi === -1 ? undefined : qi)
const c = { request: r, params: undefined, set: unset }
`

export const findingAdapter: typeof WebStandardAdapter = {
  ...WebStandardAdapter,
  handler: {
    ...WebStandardAdapter.handler,
    mapResponse: asItIs,
    mapEarlyResponse: asItIs,
    mapCompactResponse: asItIs,
  },
  composeGeneralHandler: {
    ...WebStandardAdapter.composeGeneralHandler,
    createContext: () => CONTEXT,
    inject: { unset: {} },
  },
}
