import type { FastifyInstance } from 'fastify'

/** One thing that must work before this process is sent requests; its answer is null, or what is wrong. */
export type Check = { name: string; check(): Promise<string | null> }

const PATIENCE_MS = 2_000

/** GET /healthz: the process is up. GET /readyz: it can do its work; else 503 with the causes. */
export function installHealth(app: FastifyInstance, checks: Check[]): void {
  app.get('/healthz', { logLevel: 'silent' }, async () => ({ status: 'ok' }))
  app.get('/readyz', { logLevel: 'silent' }, async (_request, reply) => {
    const faults = await Promise.all(checks.map(async ({ name, check }) => ({ name, fault: await inTime(check) })))
    const causes = faults.flatMap(({ name, fault }) => (fault === null ? [] : [{ name, fault }]))
    void reply.code(causes.length === 0 ? 200 : 503)
    return { status: causes.length === 0 ? 'ready' : 'unready', causes }
  })
}

/** One check by itself, and how long it took. */
export async function isWell({ name, check }: Check): Promise<{ name: string; ok: boolean; ms: number }> {
  const began = performance.now()
  const ok = (await inTime(check)) === null
  return { name, ok, ms: performance.now() - began }
}

async function inTime(check: Check['check']): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('no answer within 2 s'), PATIENCE_MS)
  })
  try {
    return await Promise.race([check(), late])
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(timer)
  }
}
