import { Decimal128 } from 'bson'

/** A finite decimal: sign * coefficient * 10^exponent; or what Decimal128 has instead of one. */
export type Decimal = { kind: 'finite' | 'infinity' | 'nan'; negative: boolean; coefficient: bigint; exponent: number }

const BIAS = 6176
const DIGITS = 34
const LIMIT = 10n ** 34n
const MAX_EXPONENT = 6111
const powers: bigint[] = []
/** 10^n for n >= 0. */
export const pow10 = (n: number): bigint => (n < 7000 ? (powers[n] ??= 10n ** BigInt(n)) : 10n ** BigInt(n))

const special = (kind: 'infinity' | 'nan', negative = false): Decimal => ({
  kind,
  negative,
  coefficient: 0n,
  exponent: 0
})
const finite = (negative: boolean, coefficient: bigint, exponent: number): Decimal => ({
  kind: 'finite',
  negative,
  coefficient,
  exponent
})

/** Reads a Decimal128's parts (IEEE 754-2008, binary integer encoding); an over-long coefficient counts as zero. */
export function fromDecimal128(value: Decimal128): Decimal {
  const bytes = value.bytes
  let low = 0n
  let high = 0n
  for (let i = 7; i >= 0; i--) low = (low << 8n) | BigInt(bytes[i]!)
  for (let i = 15; i >= 8; i--) high = (high << 8n) | BigInt(bytes[i]!)
  const negative = high >> 63n === 1n
  const combination = Number((high >> 58n) & 31n)
  if (combination === 30) return special('infinity', negative)
  if (combination === 31) return special('nan')
  if (combination >= 24) return finite(negative, 0n, Number((high >> 47n) & 0x3fffn) - BIAS)
  const exponent = Number((high >> 49n) & 0x3fffn) - BIAS
  const coefficient = ((high & 0x1ffffffffffffn) << 64n) | low
  return finite(negative, coefficient < LIMIT ? coefficient : 0n, exponent)
}

/** Writes a Decimal128, rounding half-even to 34 digits; too large becomes infinity, too small zero. */
export function toDecimal128(value: Decimal): Decimal128 {
  const bytes = Buffer.alloc(16)
  let high: bigint
  let low = 0n
  if (value.kind === 'nan') high = 0x7c00000000000000n
  else if (value.kind === 'infinity') high = 0x7800000000000000n
  else {
    let { coefficient, exponent } = value
    const excess = Math.max(digits(coefficient) - DIGITS, -BIAS - exponent)
    if (excess > 0) {
      coefficient = roundedQuotient(coefficient, pow10(Math.min(excess, 6999)))
      exponent += excess
      if (coefficient === LIMIT) {
        coefficient /= 10n
        exponent += 1
      }
    }
    if (exponent > MAX_EXPONENT && coefficient !== 0n) {
      const pad = exponent - MAX_EXPONENT
      if (digits(coefficient) + pad <= DIGITS) {
        coefficient *= pow10(pad)
        exponent = MAX_EXPONENT
      }
    }
    if (exponent > MAX_EXPONENT && coefficient !== 0n) high = 0x7800000000000000n
    else {
      exponent = Math.max(-BIAS, Math.min(exponent, MAX_EXPONENT))
      high = (BigInt(exponent + BIAS) << 49n) | (coefficient >> 64n)
      low = coefficient & 0xffffffffffffffffn
    }
  }
  if (value.negative) high |= 1n << 63n
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  view.setBigUint64(0, low, true)
  view.setBigUint64(8, high, true)
  return new Decimal128(bytes)
}

/** How many decimal digits a non-negative integer has (1 for zero). */
export const digits = (n: bigint): number => n.toString().length

function roundedQuotient(n: bigint, by: bigint): bigint {
  const quotient = n / by
  const twice = (n % by) * 2n
  return twice > by || (twice === by && quotient % 2n === 1n) ? quotient + 1n : quotient
}

/** A double as MongoDB's arithmetic sees it beside a Decimal128: its first 15 significant digits. */
export function fromDouble(n: number): Decimal {
  if (Number.isNaN(n)) return special('nan')
  if (!Number.isFinite(n)) return special('infinity', n < 0)
  if (n === 0) return finite(Object.is(n, -0), 0n, 0)
  return parse(Number.isInteger(n) && Math.abs(n) < 1e15 ? String(n) : n.toExponential(14), true)
}

/** An integer as a decimal, exact. */
export const fromBigInt = (n: bigint): Decimal => finite(n < 0n, n < 0n ? -n : n, 0)

/** Reads plain or scientific notation; `trim` drops trailing zeros of the coefficient. */
export function parse(text: string, trim = false): Decimal {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text.trim())
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) {
    if (/^[+-]?inf(inity)?$/i.test(text.trim())) return special('infinity', text.trim().startsWith('-'))
    return special('nan')
  }
  const fraction = match[3] ?? ''
  let coefficient = BigInt(match[2]! + fraction)
  let exponent = Number(match[4] ?? 0) - fraction.length
  while (trim && coefficient !== 0n && exponent < 0 && coefficient % 10n === 0n) {
    coefficient /= 10n
    exponent += 1
  }
  return finite(match[1] === '-', coefficient, exponent)
}

const signed = (d: Decimal) => (d.negative ? -d.coefficient : d.coefficient)

/** Sum of two decimals; infinities of opposite signs make NaN. */
export function add(a: Decimal, b: Decimal): Decimal {
  if (a.kind === 'nan' || b.kind === 'nan') return special('nan')
  if (a.kind === 'infinity') return b.kind === 'infinity' && a.negative !== b.negative ? special('nan') : a
  if (b.kind === 'infinity') return b
  const [big, small] = a.exponent >= b.exponent ? [a, b] : [b, a]
  const gap = big.exponent - small.exponent
  if (big.coefficient !== 0n && small.coefficient !== 0n && gap > 80 + digits(small.coefficient)) return big
  if (big.coefficient === 0n && gap > 80) return small
  const total = signed(big) * pow10(Math.min(gap, 6999)) + signed(small)
  const exponent = small.coefficient === 0n && gap > 80 ? big.exponent : small.exponent
  if (small.coefficient === 0n && gap > 80) return big
  return finite(total < 0n || (total === 0n && a.negative && b.negative), total < 0n ? -total : total, exponent)
}

/** The decimal with its sign turned. */
export const negate = (a: Decimal): Decimal => ({ ...a, negative: !a.negative })

/** Product; zero times infinity is NaN. */
export function multiply(a: Decimal, b: Decimal): Decimal {
  if (a.kind === 'nan' || b.kind === 'nan') return special('nan')
  const negative = a.negative !== b.negative
  if (a.kind === 'infinity' || b.kind === 'infinity') {
    const other = a.kind === 'infinity' ? b : a
    return other.kind === 'finite' && other.coefficient === 0n ? special('nan') : special('infinity', negative)
  }
  return finite(negative, a.coefficient * b.coefficient, a.exponent + b.exponent)
}

/** Quotient to 34 digits; the caller refuses a zero divisor. */
export function divide(a: Decimal, b: Decimal): Decimal {
  if (a.kind === 'nan' || b.kind === 'nan' || (a.kind === 'infinity' && b.kind === 'infinity')) return special('nan')
  const negative = a.negative !== b.negative
  if (a.kind === 'infinity') return special('infinity', negative)
  if (b.kind === 'infinity') return finite(negative, 0n, 0)
  if (b.coefficient === 0n) return a.coefficient === 0n ? special('nan') : special('infinity', negative)
  const shift = Math.max(0, DIGITS + 2 + digits(b.coefficient) - digits(a.coefficient))
  const scaled = a.coefficient * pow10(shift)
  const sticky = scaled % b.coefficient === 0n ? 0n : 1n
  let coefficient = (scaled / b.coefficient) * 10n + sticky // the extra digit keeps later rounding honest
  let exponent = a.exponent - b.exponent - shift - 1
  while (coefficient !== 0n && exponent < a.exponent - b.exponent && coefficient % 10n === 0n) {
    coefficient /= 10n
    exponent += 1
  }
  return finite(negative, coefficient, coefficient === 0n ? 0 : exponent)
}

/** Rounds to `place` digits behind the point (negative: before it). */
export function toPlace(a: Decimal, place: number, how: 'half-even' | 'truncate' | 'floor' | 'ceiling'): Decimal {
  if (a.kind !== 'finite' || a.exponent >= -place) return a
  const by = pow10(Math.min(-place - a.exponent, 6999))
  let coefficient = how === 'half-even' ? roundedQuotient(a.coefficient, by) : a.coefficient / by
  if (a.coefficient % by !== 0n && ((how === 'floor' && a.negative) || (how === 'ceiling' && !a.negative)))
    coefficient += 1n
  return finite(a.negative, coefficient, -place)
}

/** Remainder with the sign of the dividend. */
export function remainder(a: Decimal, b: Decimal): Decimal {
  if (a.kind !== 'finite' || b.kind === 'nan' || b.coefficient === 0n)
    return b.kind === 'infinity' && a.kind === 'finite' ? a : special('nan')
  const exponent = Math.min(a.exponent, b.exponent)
  const left = a.coefficient * pow10(a.exponent - exponent)
  const right = b.coefficient * pow10(b.exponent - exponent)
  return finite(a.negative, left % right, exponent)
}

/** Exact order of two non-NaN decimals. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const signA = a.kind === 'finite' && a.coefficient === 0n ? 0 : a.negative ? -1 : 1
  const signB = b.kind === 'finite' && b.coefficient === 0n ? 0 : b.negative ? -1 : 1
  if (signA !== signB || signA === 0) return Math.sign(signA - signB)
  if (a.kind === 'infinity' || b.kind === 'infinity')
    return a.kind === b.kind ? 0 : a.kind === 'infinity' ? signA : -signA
  const reach = digits(a.coefficient) + a.exponent - (digits(b.coefficient) + b.exponent)
  if (reach !== 0) return reach > 0 ? signA : -signA
  const gap = a.exponent - b.exponent
  const left = gap > 0 ? a.coefficient * pow10(gap) : a.coefficient
  const right = gap < 0 ? b.coefficient * pow10(-gap) : b.coefficient
  return left === right ? 0 : left > right ? signA : -signA
}

/** A finite double taken apart: |n| = mantissa * 2^exponent. */
export function doubleParts(n: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, Math.abs(n))
  const bits = view.getBigUint64(0)
  const raised = Number(bits >> 52n)
  const fraction = bits & 0xfffffffffffffn
  return raised === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | 0x10000000000000n, exponent: raised - 1075 }
}

/** The nearest double. */
export const toDouble = (value: Decimal): number =>
  value.kind === 'nan'
    ? NaN
    : value.kind === 'infinity'
      ? value.negative
        ? -Infinity
        : Infinity
      : Number(`${value.negative ? '-' : ''}${value.coefficient}e${value.exponent}`)

/** Exact order of a non-NaN decimal and a non-NaN double. Rounding is monotone, so only a tie needs the long way. */
export function compareDecimalToDouble(a: Decimal, n: number): number {
  const near = toDouble(a)
  if (near !== n) return near < n ? -1 : 1
  if (!Number.isFinite(n)) return a.kind === 'infinity' ? 0 : n > 0 ? -1 : 1
  if (n === 0) return a.coefficient === 0n ? 0 : a.negative ? -1 : 1
  const order = compareMagnitude(a, n)
  return n < 0 ? -order : order
}

/** Exact order of |a| and |n|, both finite. */
export function compareMagnitude(a: Decimal, n: number): number {
  const { mantissa, exponent } = doubleParts(n)
  let left = a.coefficient
  let right = mantissa
  if (a.exponent >= 0) left *= pow10(a.exponent)
  else right *= pow10(-a.exponent)
  if (exponent >= 0) right <<= BigInt(exponent)
  else left <<= BigInt(-exponent)
  return left === right ? 0 : left < right ? -1 : 1
}
