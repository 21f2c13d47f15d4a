import { asDecimal, type Numeric } from '../bson/arithmetic.js'
import { compareValues } from '../bson/compare.js'
import { divide, toDecimal128 } from '../bson/decimal.js'
import { MongoError } from '../bson/errors.js'
import { encodeKey } from '../bson/keys.js'
import { compileSort, type Sort } from '../bson/sort.js'
import {
  Decimal128,
  double,
  integer,
  isDoc,
  isNumber,
  toInteger,
  toNumber,
  typeName,
  type Doc,
  type Value
} from '../bson/value.js'
import { compileExpression } from './expressions.js'
import { plus } from './expressions-math.js'
import { type Meter } from './flow.js'
import type { Expression, Scope, Vars } from './scope.js'
import { sizeOf } from './sizes.js'

/** One accumulator of one group. */
export type Accumulator = { add(value: Value | undefined): void; value(): Value }

/** A compiled accumulator: what to evaluate per document, and how to begin a group. */
export type Accumulation = { argument: Expression; begin(meter: Meter): Accumulator }

class Sum implements Accumulator {
  private total: Numeric = 0
  private ints = 0
  add(value: Value | undefined): void {
    if (typeof value === 'number' && (value | 0) === value) {
      this.ints += value // stays exact: flushed long before 2^53
      if (this.ints > 4e15 || this.ints < -4e15) this.flush()
    } else if (isNumber(value)) this.total = plus(this.total, value)
  }
  private flush(): void {
    if (this.ints !== 0) this.total = plus(this.total, integer(this.ints))
    this.ints = 0
  }
  value(): Value {
    this.flush()
    return this.total
  }
}

class Average implements Accumulator {
  private total: Numeric = 0
  private count = 0
  add(value: Value | undefined): void {
    if (!isNumber(value)) return
    this.total = plus(this.total, value)
    this.count++
  }
  value(): Value {
    if (this.count === 0) return null
    if (this.total instanceof Decimal128) return toDecimal128(divide(asDecimal(this.total), asDecimal(this.count)))
    return double(toNumber(this.total) / this.count)
  }
}

// Counts one held value that is put in the place of another.
class Held {
  private bytes = 0
  constructor(private readonly meter: Meter) {}
  now(value: Value | undefined): void {
    if (typeof value !== 'object' && typeof value !== 'string' && this.bytes === 0) return // the group's own share covers it
    const bytes = sizeOf(value)
    this.meter.add(bytes - this.bytes)
    this.bytes = bytes
  }
}

class Extreme implements Accumulator {
  private best: Value | undefined
  private readonly held: Held
  constructor(
    private readonly sign: 1 | -1,
    meter: Meter
  ) {
    this.held = new Held(meter)
  }
  add(value: Value | undefined): void {
    if (value === undefined || value === null) return
    if (this.best !== undefined && compareValues(value, this.best) * this.sign <= 0) return
    this.best = value
    this.held.now(value)
  }
  value(): Value {
    return this.best ?? null
  }
}

class Edge implements Accumulator {
  private kept: Value | undefined
  private seen = false
  private readonly held: Held
  constructor(
    private readonly last: boolean,
    meter: Meter
  ) {
    this.held = new Held(meter)
  }
  add(value: Value | undefined): void {
    if (this.seen && !this.last) return
    this.seen = true
    this.kept = value
    this.held.now(value)
  }
  value(): Value {
    return this.kept ?? null
  }
}

class Push implements Accumulator {
  private readonly items: Value[] = []
  constructor(private readonly meter: Meter) {}
  add(value: Value | undefined): void {
    if (value === undefined) return
    this.meter.add(8 + sizeOf(value))
    this.items.push(value)
  }
  value(): Value {
    return this.items
  }
}

class AddToSet implements Accumulator {
  private readonly items = new Map<string, Value>()
  constructor(private readonly meter: Meter) {}
  add(value: Value | undefined): void {
    if (value === undefined) return
    const key = groupKey(value)
    if (this.items.has(key)) return
    this.meter.add(sizeOf(value) + key.length + 64)
    this.items.set(key, value)
  }
  value(): Value {
    return [...this.items.values()]
  }
}

class Merge implements Accumulator {
  private readonly merged: Doc = new Map()
  constructor(private readonly meter: Meter) {}
  add(value: Value | undefined): void {
    if (value === undefined || value === null) return
    if (!isDoc(value))
      throw new MongoError(40400, `$mergeObjects requires object inputs, but input is of type ${typeName(value)}`)
    for (const [key, field] of value) {
      this.meter.add(sizeOf(field) - (this.merged.has(key) ? sizeOf(this.merged.get(key)) : -32 - key.length))
      this.merged.set(key, field)
    }
  }
  value(): Value {
    return this.merged
  }
}

class Deviation implements Accumulator {
  private count = 0
  private mean = 0
  private squares = 0
  constructor(private readonly sample: boolean) {}
  add(value: Value | undefined): void {
    if (!isNumber(value)) return
    const n = toNumber(value)
    this.count++
    const step = n - this.mean
    this.mean += step / this.count
    this.squares += step * (n - this.mean)
  }
  value(): Value {
    const by = this.sample ? this.count - 1 : this.count
    return by <= 0 ? null : double(Math.sqrt(this.squares / by))
  }
}

// Keeps the first n in an order; $top and $bottom see [sort key, output] pairs.
class Best implements Accumulator {
  private readonly items: { key: Value[]; output: Value; bytes: number }[] = []
  constructor(
    private readonly sort: Sort,
    private readonly most: number,
    private readonly single: boolean,
    private readonly reversed: boolean,
    private readonly meter: Meter
  ) {}
  add(value: Value | undefined): void {
    const [key, output] = value as [Value[], Value]
    const bytes = 64 + sizeOf(key) + sizeOf(output)
    this.meter.add(bytes)
    this.items.push({ key, output, bytes })
    if (this.items.length > this.most * 2 + 8) this.trim()
  }
  private trim(): void {
    this.items.sort((a, b) => this.sort.compare(a.key, b.key))
    const extra = Math.max(0, this.items.length - this.most)
    for (const { bytes } of this.items.splice(this.reversed ? 0 : this.most, extra)) this.meter.add(-bytes)
  }
  value(): Value {
    this.trim()
    const outputs = this.items.map(({ output }) => output)
    return this.single ? (outputs[0] ?? null) : outputs
  }
}

/** More than a document can hold, even told as a key; only what an expression made up is larger. */
const LARGEST_KEYED = 64 * 1024 * 1024

/** A value as a map key: equal in BSON's order means equal here. Missing counts as null. @throws MongoError 10334 */
export function groupKey(value: Value | undefined): string {
  if (typeof value === 'string') return `s${value}`
  if ((Array.isArray(value) || isDoc(value)) && sizeOf(value) > LARGEST_KEYED)
    throw new MongoError(10334, 'a value to group by is larger than any document')
  return `b${encodeKey([value], [1]).toString('latin1')}`
}

const simple =
  (begin: (meter: Meter) => Accumulator) =>
  (spec: Value, vars: Vars | null, name: string): Accumulation => {
    if (Array.isArray(spec) && spec.length !== 1)
      throw new MongoError(40237, `The ${name} accumulator is a unary operator`)
    return { argument: compileExpression(Array.isArray(spec) ? spec[0]! : spec, vars), begin }
  }

const count = (spec: Value, _vars: Vars | null): Accumulation => {
  if (!isDoc(spec) || spec.size > 0) throw new MongoError(9, '$count takes no arguments, i.e. $count:{}')
  return { argument: () => 1, begin: () => new Sum() }
}

function countOf(spec: Value | undefined, vars: Vars | null, name: string): number {
  const value = compileExpression(spec ?? null, vars)({ root: new Map(), vars })
  const n = toInteger(value)
  if (n === undefined || n <= 0) throw new MongoError(5787908, `'n' of ${name} must be a positive integer`)
  return n
}

// $top, $bottom and their N forms.
const ranked =
  (bottom: boolean, single: boolean) =>
  (spec: Value, vars: Vars | null, name: string): Accumulation => {
    if (!isDoc(spec)) throw new MongoError(5788001, `specification must be an object; found ${name}`)
    const wanted = single ? ['sortBy', 'output'] : ['sortBy', 'output', 'n']
    for (const key of spec.keys())
      if (!wanted.includes(key)) throw new MongoError(5788002, `Unknown argument to ${name} '${key}'`)
    const by = spec.get('sortBy')
    if (!isDoc(by) || !spec.has('output'))
      throw new MongoError(5788005, `${name} needs 'sortBy' (an object) and 'output'`)
    const sort = compileSort(by)
    const output = compileExpression(spec.get('output')!, vars)
    const most = single ? 1 : countOf(spec.get('n'), vars, name)
    return {
      argument: (scope: Scope) => [sort.key(scope.root), output(scope) ?? null],
      begin: (meter) => new Best(sort, most, single, bottom, meter)
    }
  }

// $firstN, $lastN, $minN, $maxN.
const several =
  (name: string, pick: (items: Value[], n: number) => Value[]) =>
  (spec: Value, vars: Vars | null): Accumulation => {
    if (!isDoc(spec) || !spec.has('input') || !spec.has('n') || spec.size !== 2)
      throw new MongoError(5787901, `${name} needs exactly 'input' and 'n'`)
    const n = countOf(spec.get('n'), vars, name)
    return {
      argument: compileExpression(spec.get('input')!, vars),
      begin: (meter) => {
        let items: Value[] = []
        return {
          add(value) {
            items.push(value ?? null)
            meter.add(8 + sizeOf(value))
            if (items.length <= n * 2 + 8) return
            for (const item of items) meter.add(-8 - sizeOf(item))
            items = pick(items, n)
            for (const item of items) meter.add(8 + sizeOf(item))
          },
          value: () => pick(items, n)
        }
      }
    }
  }

const ACCUMULATORS: Record<string, (spec: Value, vars: Vars | null, name: string) => Accumulation> = {
  $sum: simple(() => new Sum()),
  $avg: simple(() => new Average()),
  $min: simple((meter) => new Extreme(-1, meter)),
  $max: simple((meter) => new Extreme(1, meter)),
  $first: simple((meter) => new Edge(false, meter)),
  $last: simple((meter) => new Edge(true, meter)),
  $push: simple((meter) => new Push(meter)),
  $addToSet: simple((meter) => new AddToSet(meter)),
  $mergeObjects: simple((meter) => new Merge(meter)),
  $stdDevPop: simple(() => new Deviation(false)),
  $stdDevSamp: simple(() => new Deviation(true)),
  $count: count,
  $top: ranked(false, true),
  $bottom: ranked(true, true),
  $topN: ranked(false, false),
  $bottomN: ranked(true, false),
  $firstN: several('$firstN', (items, n) => items.slice(0, n)),
  $lastN: several('$lastN', (items, n) => items.slice(-n)),
  $minN: several('$minN', (items, n) =>
    items
      .filter((item) => item !== null)
      .sort(compareValues)
      .slice(0, n)
  ),
  $maxN: several('$maxN', (items, n) =>
    items
      .filter((item) => item !== null)
      .sort((a, b) => compareValues(b, a))
      .slice(0, n)
  )
}

/** The accumulators this store carries out. */
export const ACCUMULATOR_NAMES: readonly string[] = Object.keys(ACCUMULATORS)

/** Compiles `{ field: { $sum: … } }`'s right side. @throws MongoError 40234, 40238, 15952 and operand errors. */
export function compileAccumulator(field: string, spec: Value, vars: Vars | null): Accumulation {
  if (field.includes('.')) throw new MongoError(40235, `The field name '${field}' cannot contain '.'`)
  if (field.startsWith('$')) throw new MongoError(40236, `The field name '${field}' cannot be an operator name`)
  if (!isDoc(spec)) throw new MongoError(40234, `The field '${field}' must be an accumulator object`)
  if (spec.size !== 1) throw new MongoError(40238, `The field '${field}' must specify one accumulator`)
  const [name, operand] = spec.entries().next().value!
  const build = Object.hasOwn(ACCUMULATORS, name) ? ACCUMULATORS[name] : undefined
  if (build === undefined) throw new MongoError(15952, `unknown group operator '${name}'`)
  return build(operand, vars, name)
}
