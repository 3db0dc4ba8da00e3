/** The messenger by itself, on a page of its own, which is also what is at the root of its own listener. */
export const isMessenger = document.querySelector('meta[name=application-name]') != null
