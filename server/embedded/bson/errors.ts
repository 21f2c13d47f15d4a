/** MongoDB's own error codes and their names, the ones this store can answer (source: mongo's error_codes.yml). */
const NAMES: Record<number, string> = {
  1: 'InternalError',
  2: 'BadValue',
  9: 'FailedToParse',
  13: 'Unauthorized',
  14: 'TypeMismatch',
  15: 'Overflow',
  16: 'InvalidLength',
  18: 'AuthenticationFailed',
  20: 'IllegalOperation',
  22: 'InvalidBSON',
  26: 'NamespaceNotFound',
  27: 'IndexNotFound',
  28: 'PathNotViable',
  34: 'CannotCreateIndex',
  40: 'ConflictingUpdateOperators',
  43: 'CursorNotFound',
  48: 'NamespaceExists',
  50: 'MaxTimeMSExpired',
  52: 'DollarPrefixedFieldName',
  53: 'InvalidIdField',
  54: 'NotSingleValueField',
  55: 'InvalidDBRef',
  56: 'EmptyFieldName',
  57: 'DottedFieldName',
  59: 'CommandNotFound',
  66: 'ImmutableField',
  67: 'CannotCreateIndex',
  68: 'IndexAlreadyExists',
  72: 'InvalidOptions',
  73: 'InvalidNamespace',
  85: 'IndexOptionsConflict',
  86: 'IndexKeySpecsConflict',
  115: 'CommandNotSupported',
  123: 'NotAReplicaSet',
  146: 'ExceededMemoryLimit',
  165: 'ViewDepthLimitExceeded',
  166: 'CommandNotSupportedOnView',
  168: 'InvalidPipelineOperator',
  171: 'CannotIndexParallelArrays',
  181: 'AmbiguousIndexKeyPattern',
  197: 'InvalidIndexSpecificationOption',
  241: 'ConversionFailure',
  263: 'OperationNotSupportedInTransaction',
  285: 'QueryFeatureNotAllowed',
  292: 'QueryExceededMemoryLimitNoDiskUseAllowed',
  322: 'APIVersionError',
  323: 'APIStrictError',
  352: 'UnsupportedOpQueryCommand',
  10334: 'BSONObjectTooLarge',
  11000: 'DuplicateKey',
  13113: 'MergeStageNoMatchingDocument',
  14031: 'OutOfDiskSpace'
}

/**
 * An error as MongoDB would answer it: `code`, `codeName` (Location<code> for unnamed codes) and the fields the
 * server adds to the reply (`extra`, e.g. keyPattern and keyValue of code 11000; values are BSON values of document.ts).
 */
export class MongoError extends Error {
  readonly code: number
  readonly codeName: string
  readonly extra?: Record<string, unknown>

  constructor(code: number, message: string, extra?: Record<string, unknown>) {
    super(message)
    this.name = 'MongoError'
    this.code = code
    this.codeName = NAMES[code] ?? `Location${code}`
    if (extra !== undefined) this.extra = extra
  }
}

/** Code 2: a value the operator cannot take. */
export const badValue = (message: string) => new MongoError(2, message)

/** Code 9: the shape of the request cannot be parsed. */
export const failedToParse = (message: string) => new MongoError(9, message)

/** Code 14: right place, wrong BSON type. */
export const typeMismatch = (message: string) => new MongoError(14, message)

/** Code 11000, with the index and the value that clashed; `shown` is the key as the text should print it. */
export const duplicateKey = (namespace: string, index: string, shown: string, keyPattern: unknown, keyValue: unknown) =>
  new MongoError(11000, `E11000 duplicate key error collection: ${namespace} index: ${index} dup key: ${shown}`, {
    keyPattern,
    keyValue
  })

/** Code 292: a blocking stage went over the memory cap; there is no spilling to disk here. */
export const memoryExceeded = (what: string, limit: number) =>
  new MongoError(
    292,
    `${what} exceeded memory limit of ${limit} bytes, and this store does not spill to disk, with or without allowDiskUse. Aborting operation.`
  )
