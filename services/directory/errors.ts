/** A service key that is not `artel/<service>/<version>`. */
export class ServiceKeyError extends Error {
  override readonly name = 'ServiceKeyError'
}
