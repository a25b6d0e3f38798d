"""What a person can press, choose or fill in on a page: found in the DOM, through open shadow roots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import JSHandle, Page

#: Native controls, those that say that they are one, and whatever takes the focus by Tab.
_FIND: Final = """() => {
  const wanted = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"], '
    + '[role=switch], [role=tab], [role=button], [role=checkbox], [role=link], [role=menuitem], [role=option]';
  const found = [];
  const modal = [];
  const walk = (root) => {
    for (const each of root.querySelectorAll('*')) {
      if (each.matches('dialog:modal')) modal.push(each);
      if (each.matches(wanted) && each.checkVisibility({visibilityProperty: true})) found.push(each);
      if (each.shadowRoot) walk(each.shadowRoot);
    }
  };
  walk(document);
  const text = (node) => (node?.textContent ?? '').replace(/\\s+/g, ' ').trim();
  const labelled = (each) => (each.getAttribute('aria-labelledby') ?? '').split(' ')
    .map((id) => text(each.getRootNode().getElementById(id))).join(' ').trim();
  const name = (each) => each.getAttribute('aria-label') || labelled(each)
    || [...(each.labels ?? [])].map(labelText).join(' ') || text(each) || each.title || each.placeholder || '';
  const labelText = (label) => {
    const copy = label.cloneNode(true);
    copy.querySelectorAll('input, select, textarea').forEach((inner) => inner.remove());
    return text(copy);
  };
  const role = (each) => each.getAttribute('role')
    || {A: 'link', BUTTON: 'button', SELECT: 'select', TEXTAREA: 'text', SUMMARY: 'summary'}[each.tagName]
    || (each.tagName === 'INPUT' ? {checkbox: 'checkbox', radio: 'radio'}[each.type] ?? 'text' : 'focusable');
  const top = modal.at(-1);
  const inside = (each) => {
    for (let at = each; at; at = at.parentNode ?? at.host) if (at === top) return true;
    return false;
  };
  return found.filter((each) => !top || inside(each)).map((each) => [each, role(each), name(each)]);
}"""


@dataclass(frozen=True)
class Control:
    """One control that can be seen; below an open dialog there are none."""

    role: str
    name: str
    element: Any

    def __str__(self) -> str:
        return f"{self.role}: {self.name}"


def controls_of(page: Page) -> list[Control]:
    """Return all that can be seen now, in the order of the document."""
    return [_control(row) for row in page.evaluate_handle(_FIND).get_properties().values()]


def _control(row: JSHandle) -> Control:
    element, role, name = row.get_properties().values()
    return Control(role.json_value(), name.json_value(), element.as_element())
