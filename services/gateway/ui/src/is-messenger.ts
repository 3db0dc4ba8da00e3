/** The messenger by itself, on a page of its own. */
export const isMessenger = window.location.pathname.endsWith('/messenger.html')
