import { type Datastore, Key } from 'interface-datastore'
import { ListenError } from './errors.ts'

/** Provider records are hints of half an hour; kad-dht would go on announcing what an earlier run offered. */
export async function forgetProviders(datastore: Datastore): Promise<void> {
  for await (const key of datastore.queryKeys({ prefix: '/dht/provider/' })) {
    await datastore.delete(new Key(key.toString()))
  }
}

/** Why an address cannot be listened on, and what to do; any other error as it is. */
export function listenError(error: Error, listen: string[]): Error {
  if (error.name !== 'UnsupportedListenAddressesError') return error
  const addresses = listen.filter(address => error.message.includes(`${address}:`)).join(', ')
  const reason = error.message.includes('EADDRINUSE')
    ? 'the port is in use; stop the program that has it, or choose another with --listen'
    : 'check the address, or choose another with --listen'
  return new ListenError(`cannot listen on ${addresses || listen.join(', ')}: ${reason}`)
}
