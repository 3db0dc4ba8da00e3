import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'

const DATABASE = 'artel'
const STORE = 'keys'
const NAME = 'lender'

/** This browser's key, made at the first time: the peer id under which it lends and the account that is paid. */
export async function loadKey(): Promise<Ed25519PrivateKey> {
  const database = await opened()
  try {
    const bytes = await asked(database.transaction(STORE).objectStore(STORE).get(NAME))
    if (bytes instanceof Uint8Array) {
      const key = privateKeyFromProtobuf(bytes)
      if (key.type === 'Ed25519') return key
    }
    const key = await generateKeyPair('Ed25519')
    await asked(
      database
        .transaction(STORE, 'readwrite', { durability: 'strict' })
        .objectStore(STORE)
        .put(privateKeyToProtobuf(key), NAME)
    )
    return key
  } finally {
    database.close()
  }
}

function opened(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1)
  request.onupgradeneeded = () => void request.result.createObjectStore(STORE)
  return asked(request)
}

function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
