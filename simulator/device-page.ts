import type { AdminRequest } from './admin.js';
import type { Simulation } from './simulation.js';

interface Page {
  readonly contentType: string;
  readonly chunks: readonly string[];
}

/** Stands in for the page where a seller connects an application: choose an account, allow or refuse. */
export function createDevicePage(simulation: Simulation): (request: AdminRequest) => Page {
  return ({ method, query, body }) => {
    const asked = new URLSearchParams(method === 'POST' ? body : query);
    const code = asked.get('code') ?? '';
    if (method !== 'POST') return html(form(code, [...simulation.catalogue.sellers.values()]));
    const sellerId = asked.get('sellerId') ?? '';
    const isAllowed = asked.get('decision') === 'approve' && sellerId !== '';
    const isKnown = simulation.oauth.decide(code, isAllowed ? { sellerId } : 'deny');
    if (!isKnown) return html('<h1>Unknown or used code</h1>');
    return html(isAllowed ? '<h1>Connected</h1><p>You can go back to the application.</p>' : '<h1>Refused</h1>');
  };
}

function form(code: string, sellers: readonly { id: string; login: string }[]): string {
  const options = sellers
    .map(({ id, login }) => `<option value="${escape(id)}">${escape(login)} (${escape(id)})</option>`)
    .join('');
  return `<h1>Connect an application</h1>
<form method="post" action="/skojarz-aplikacje">
  <label>Code <input name="code" value="${escape(code)}"></label>
  <label>Account <select name="sellerId">${options}</select></label>
  <button name="decision" value="approve">Allow</button> <button name="decision" value="deny">Refuse</button>
</form>`;
}

function html(content: string): Page {
  const style =
    'body{font:16px system-ui;max-width:28rem;margin:4rem auto;color:#1f2933}label{display:block;margin:1rem 0}' +
    'input,select,button{font:inherit;padding:.4rem .8rem;border-radius:6px;border:1px solid #cbd2d9}';
  return {
    contentType: 'text/html; charset=utf-8',
    chunks: [`<!doctype html><meta charset="utf-8"><title>Simulated Allegro</title><style>${style}</style>${content}`],
  };
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
