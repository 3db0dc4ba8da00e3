/** What others look for in the DHT. */
export const serviceKey = (name: string, version: number): string => `artel/${name}/${version}`

/** The libp2p protocol of a service; networks do not meet in it. */
export const serviceProtocol = (network: string, name: string, version: number): string =>
  `/artel/${network}/${name}/${version}`
