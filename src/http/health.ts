// Whether the process lives and whether it can serve, for load balancers and supervisors. It looks at no credential
// and says nothing of why: that is in the log.
import { AppError } from '../core/errors.ts'
import { everyone, t } from '../sdk.ts'
import { json, route, type Route } from './route.ts'

export interface HealthOptions {
  /** False, or a rejection: not ready. It asks the store, and says no while the server is stopping. */
  isReady: () => boolean | Promise<boolean>
}

const HEALTHY = { status: 'ok' } as const
const HealthSchema = t.Object({ status: t.Literal('ok') })

/** GET /health/live and GET /health/ready. */
export function createHealthRoutes({ isReady }: HealthOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: '/health/live',
      operationId: 'getLiveness',
      summary: 'Whether the process answers',
      tag: 'System',
      access: everyone(),
      credentials: 'ignored',
      unlimited: true,
      responses: { 200: json('It does', HealthSchema, { example: HEALTHY }) },
      noStore: true,
      isQuiet: true,
      handler: () => HEALTHY,
    }),
    route({
      method: 'GET',
      path: '/health/ready',
      operationId: 'getReadiness',
      summary: 'Whether requests can be served',
      description: 'The database is asked. While the server stops, the answer is 503.',
      tag: 'System',
      access: everyone(),
      credentials: 'ignored',
      unlimited: true,
      responses: { 200: json('They can', HealthSchema, { example: HEALTHY }) },
      errors: ['unavailable'],
      noStore: true,
      isQuiet: true,
      async handler() {
        await requireReady(isReady)
        return HEALTHY
      },
    }),
  ]
}

async function requireReady(isReady: HealthOptions['isReady']): Promise<void> {
  let ready: boolean
  try {
    ready = await isReady()
  } catch (cause) {
    throw new AppError('unavailable', { cause })
  }
  if (!ready) throw new AppError('unavailable')
}
