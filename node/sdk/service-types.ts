import type { Clients, OWN_GROUPS, SERVICES } from '../../services/index.ts'

/** What can be done with the node and its services: `artel.services.files.list()`. */
export type ServiceClients = Clients<(typeof SERVICES)[number] | (typeof OWN_GROUPS)[number]>
