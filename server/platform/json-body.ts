import type { FastifyInstance } from 'fastify'
import { InvalidInput, pointerTo } from './errors.js'

/** No request of ours is half as deep; what recurses over a body (a schema, JSON.stringify) can rely on it. */
const MAX_DEPTH = 64

/**
 * JSON alone; a route that takes anything else (WeChat's pushes) adds its own parser where it is registered. An empty
 * body is none, since many clients send one with a POST that takes none. A name that could reach an object's prototype
 * is refused with its place, and so are the driver's mark of a value that is no plain object, and what is nested without end.
 */
export function installJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') return done(null, undefined)
    parse(request, body as string, (error, value) => {
      const unfit = error === null ? unfitness(value, MAX_DEPTH) : 'name'
      if (unfit === null) return done(null, value)
      if (unfit === 'depth') return done(tooDeep())
      // Fastify says the same of what is no JSON and of what is, with a name it fears.
      const place = forbiddenPlace(body as string)
      done(place === null ? error : forbidden(place))
    })
  })
}

/** The driver takes an object with this name for one of its own types, whatever else is in it. */
const BSON_MARK = '_bsontype'

/** Where a JSON text has a name that is none for a field; null when it has not, or is no JSON. */
function forbiddenPlace(text: string): string | null {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch {
    return null
  }
  // Not by recursion: a body may be nested a million deep.
  const left: { value: unknown; path: Path | null }[] = [{ value: root, path: null }]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue
    for (const [name, value] of Object.entries(next.value)) {
      const path = { name, above: next.path }
      if ((name === '__proto__' || name === BSON_MARK) && !Array.isArray(next.value)) return pointerTo(namesOf(path))
      if (name === 'constructor' && typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')) {
        return pointerTo(namesOf({ name: 'prototype', above: path }))
      }
      left.push({ value, path })
    }
  }
  return null
}

type Path = { name: string; above: Path | null }

function namesOf(path: Path): string[] {
  const names: string[] = []
  for (let at: Path | null = path; at !== null; at = at.above) names.push(at.name)
  return names.reverse()
}

/** Is a value nested more than `limit` deep, or marked as the driver marks its own? */
function unfitness(value: unknown, limit: number): 'depth' | 'name' | null {
  if (typeof value !== 'object' || value === null) return null
  if (limit === 0) return 'depth'
  if (Object.hasOwn(value, BSON_MARK)) return 'name'
  for (const name in value) {
    const unfit = unfitness(value[name as keyof typeof value], limit - 1)
    if (unfit !== null) return unfit
  }
  return null
}

function tooDeep(): InvalidInput {
  const message = `at most ${MAX_DEPTH} levels of objects and lists`
  return new InvalidInput('the body is nested too deeply', {
    code: 'request.too-deep',
    errors: [{ pointer: '', code: 'too_deep', message }]
  })
}

function forbidden(place: string): InvalidInput {
  const message = `__proto__, constructor.prototype and ${BSON_MARK} are no names for fields`
  return new InvalidInput('the body has a field of a forbidden name', {
    code: 'request.forbidden-name',
    errors: [{ pointer: place, code: 'forbidden_name', message }]
  })
}
