// Requests to the gateway, and the login where it asks for one.

import {setClock} from "./words.js";

export class Failed extends Error {}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Failed("The gateway can not be reached.");
  }
  setClock(response);
  if (response.status === 401) {
    await login();
    return ask(path, options);
  }
  if (!response.ok) throw new Failed((await response.text()).trim() || `The gateway says ${response.status}.`);
  return response.status === 204 ? null : response.json();
}

export const get = (path) => ask(path);

export const send = (method, path, body) =>
  ask(path, {method, ...(body && {body: JSON.stringify(body), headers: {"Content-Type": "application/json"}})});

let asking = null;

// Ask for the token until it is right; all that wait for it go on together.
function login() {
  asking ??= new Promise((done) => {
    const dialog = document.getElementById("login");
    const error = document.getElementById("login-error");
    const field = document.getElementById("token");
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      const response = await fetch("/api/session", {
        method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({token: field.value.trim()}),
      });
      field.value = "";
      if (response.ok) {
        dialog.close();
        asking = null;
        done();
      } else {
        error.textContent = response.status === 429 ? "Too many wrong tokens: wait a minute." : "That is not the token.";
        field.focus();
      }
    };
    dialog.showModal();
  });
  return asking;
}
