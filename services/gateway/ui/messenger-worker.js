/*
 * Keeps the files of which the messenger's page consists, so that it opens also while the node does not answer. Whatever
 * the node says of people and chats goes past it: nothing of that is kept.
 */

// the build writes both
const FILES = ['FILES']
const VERSION = 'VERSION'

const PREFIX = 'artel-messenger-'
const NAME = PREFIX + VERSION
const addresses = FILES.map(file => new URL(file, self.location.href).href)

self.addEventListener('install', event => {
  const requests = addresses.map(url => new Request(url, { cache: 'reload' }))
  event.waitUntil(
    caches
      .open(NAME)
      .then(cache => cache.addAll(requests))
      .then(() => self.skipWaiting())
  )
})

self.addEventListener('activate', event => {
  event.waitUntil(
    caches
      .keys()
      .then(names => names.filter(name => name.startsWith(PREFIX) && name !== NAME))
      .then(old => Promise.all(old.map(name => caches.delete(name))))
      .then(() => self.clients.claim())
  )
})

self.addEventListener('fetch', event => {
  const { origin, pathname } = new URL(event.request.url)
  const address = origin + pathname
  if (event.request.method !== 'GET' || !addresses.includes(address)) return
  event.respondWith(
    caches
      .open(NAME)
      .then(cache => cache.match(address))
      .then(kept => kept ?? fetch(event.request))
  )
})
