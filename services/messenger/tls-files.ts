/** Where the certificate lies that `artel messenger cert` made, in the folder of the service; the listener takes it when no other is set. */
export const LISTENER_TLS = {
  folder: 'tls',
  certificate: 'certificate.pem',
  key: 'key.pem',
  authority: 'authority.pem',
  authorityKey: 'authority-key.pem'
} as const
