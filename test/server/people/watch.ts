/** The database with every verb of its collections told before it is carried out; when `told` throws it never happens. */
export function watch<Db extends object>(db: Db, told: (verb: string, collection: string) => void): Db {
  return new Proxy(db, {
    get(target: any, name) {
      if (name !== 'model') return Reflect.get(target, name)
      return (...args: unknown[]) => {
        const model = target.model(...args)
        const collection = new Proxy(model.collection, {
          get(inner: any, verb: string) {
            if (typeof inner[verb] !== 'function') return inner[verb]
            return (...given: unknown[]) => {
              if (/^(find|update|insert|delete|bulkWrite)/.test(verb)) {
                try {
                  told(verb, inner.collectionName)
                } catch (error) {
                  return Promise.reject(error)
                }
              }
              return inner[verb](...given)
            }
          }
        })
        return { collection, createIndexes: () => model.createIndexes() }
      }
    }
  })
}
