type Node = {
  $ref?: string
  type?: string
  const?: unknown
  enum?: unknown[]
  properties?: Record<string, Node>
  items?: Node
  anyOf?: Node[]
  oneOf?: Node[]
  allOf?: Node[]
  additionalProperties?: Node | boolean
}
type Parameter = { name: string; in: string }
type Operation = {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema: Node }> }
  responses: Record<string, { content?: Record<string, { schema: Node }> }>
}
export type Document = {
  paths: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, Node> }
}

/** One place a field has in the API: what a call takes, in its body or its query, or what it answers. */
export type Field = { call: string; of: 'body' | 'query' | 'answer'; path: string }

/**
 * Every field of the calls below these paths, read from the document the server gives of itself: `open.miniprogram.page`,
 * `fallback[].templateId`, `trigger(event).delayMs` (of the choice whose `kind` is event). Names the caller makes up
 * (attributes, fields of a template) are a `*`, and are listed only where something is fixed below them.
 */
export function fieldsOf(document: Document, below: readonly string[]): Field[] {
  const found: Field[] = []
  for (const [url, operations] of Object.entries(document.paths)) {
    if (!below.some((start) => url === start || url.startsWith(`${start}/`))) continue
    for (const [method, { parameters = [], requestBody, responses }] of Object.entries(operations)) {
      const call = `${method.toUpperCase()} ${url}`
      for (const { name, in: place } of parameters) if (place === 'query') found.push({ call, of: 'query', path: name })
      const body = requestBody?.content['application/json']?.schema
      if (body !== undefined) for (const path of pathsOf(document, body)) found.push({ call, of: 'body', path })
      for (const [status, { content }] of Object.entries(responses)) {
        const answer = status.startsWith('2') ? content?.['application/json']?.schema : undefined
        if (answer !== undefined) for (const path of pathsOf(document, answer)) found.push({ call, of: 'answer', path })
      }
    }
  }
  return found
}

function pathsOf({ components }: Document, schema: Node): string[] {
  const found = new Set<string>()
  const meant = (node: Node): Node =>
    node.$ref === undefined ? node : (components?.schemas?.[node.$ref.split('/').at(-1)!] ?? {})
  const choicesOf = (node: Node) => node.anyOf ?? node.oneOf ?? node.allOf
  const holdsFields = (node: Node): boolean =>
    node.properties !== undefined || (choicesOf(node) ?? []).some((choice) => holdsFields(meant(choice)))
  const walk = (given: Node, path: string): void => {
    const node = meant(given)
    const choices = choicesOf(node)
    if (choices !== undefined) {
      for (const choice of choices) {
        const { const: only, enum: [kind = only] = [] } = meant(choice).properties?.kind ?? {}
        walk(choice, typeof kind === 'string' ? `${path}(${kind})` : path)
      }
    } else if (node.items !== undefined) walk(node.items, holdsFields(meant(node.items)) ? `${path}[]` : path)
    else if (node.properties !== undefined) {
      for (const [name, child] of Object.entries(node.properties)) {
        if (name === 'kind' && (child.const !== undefined || child.enum?.length === 1)) continue
        walk(child, path === '' ? name : `${path}.${name}`)
      }
    } else {
      if (path !== '' && node.type !== 'null') found.add(path)
      const named = node.additionalProperties
      if (typeof named === 'object' && holdsFields(meant(named))) walk(named, `${path}.*`)
    }
  }
  walk(schema, '')
  return [...found].filter((path) => !path.endsWith('.*')).sort()
}
