import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

type Schema = Record<string, unknown>
type Operation = {
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> }
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>
  security?: Record<string, string[]>[]
}
type Document = { openapi: string; paths: Record<string, Record<string, Operation>>; components?: Schema }

export type Asked = {
  params?: Record<string, string>
  query?: Record<string, string>
  body?: unknown
  headers?: Record<string, string>
  bearer?: string
}
export type Answered = { status: number; body: any; headers: Headers }

/**
 * A client that knows nothing but /openapi.json: it refuses to call what the document does not name, to send what its
 * schemas do not take, and to believe an answer they do not describe.
 */
export async function openApiClient(base: string) {
  const document = (await (await fetch(`${base}/openapi.json`)).json()) as Document
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv as never)
  ajv.addSchema({ $id: 'doc', components: document.components ?? {} })
  const local = (schema: Schema) =>
    JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"doc#/components')) as Schema
  const check = (what: string, schema: Schema, value: unknown) => {
    const validate = ajv.compile(local(schema))
    if (!validate(value))
      throw new Error(
        `${what} is not what the document says: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`
      )
  }

  async function call(method: string, path: string, asked: Asked = {}): Promise<Answered> {
    const operation = document.paths[path]?.[method.toLowerCase()]
    if (operation === undefined) throw new Error(`the document has no ${method} ${path}`)
    let url = path
    for (const parameter of operation.parameters ?? []) {
      const given =
        parameter.in === 'path'
          ? asked.params?.[parameter.name]
          : parameter.in === 'query'
            ? asked.query?.[parameter.name]
            : asked.headers?.[parameter.name]
      if (given === undefined) {
        if (parameter.required === true) throw new Error(`${method} ${path} needs ${parameter.name}`)
        continue
      }
      if (parameter.in === 'path') url = url.replace(`{${parameter.name}}`, encodeURIComponent(given))
    }
    const query = new URLSearchParams(asked.query ?? {})
    for (const name of query.keys()) {
      if (!(operation.parameters ?? []).some((each) => each.in === 'query' && each.name === name))
        throw new Error(`${method} ${path} takes no ${name}`)
    }
    if (asked.body !== undefined) {
      const schema = operation.requestBody?.content['application/json']?.schema
      if (schema === undefined) throw new Error(`${method} ${path} takes no body`)
      check(`the body of ${method} ${path}`, schema, asked.body)
    }
    const response = await fetch(`${base}${url}${query.size > 0 ? `?${query}` : ''}`, {
      method,
      headers: {
        ...(asked.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(asked.bearer === undefined ? {} : { authorization: `Bearer ${asked.bearer}` }),
        ...asked.headers
      },
      ...(asked.body === undefined ? {} : { body: JSON.stringify(asked.body) })
    })
    const text = await response.text()
    const body = text === '' ? undefined : JSON.parse(text)
    const described = operation.responses[String(response.status)] ?? operation.responses.default
    if (described === undefined)
      throw new Error(`${method} ${path} answered ${response.status}, which the document does not name: ${text}`)
    const schema =
      described.content?.['application/json']?.schema ?? described.content?.['application/problem+json']?.schema
    if (schema !== undefined) check(`the answer of ${method} ${path}`, schema, body)
    return { status: response.status, body, headers: response.headers }
  }
  return { call, document }
}
