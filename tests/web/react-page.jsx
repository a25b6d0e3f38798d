// A front end with the card of docs/yooprl.md, for tests: `mount(props)` and `unmount()`, and what its handlers heard.
import React from 'react';
import { createRoot } from 'react-dom/client';
import NotificationsCard from './components/NotificationsCard';
import { createMonitoringApi, getNotificationStatus } from './alertbus/monitoring-api';

const root = createRoot(document.getElementById('root'));
const heard = [];
const hears = (name) => (detail) => heard.push([name, detail]);
const handlers = { onToggled: hears('toggled'), onTested: hears('tested'), onConnection: hears('connection') };

window.heard = heard;
window.mount = (props) => root.render(<React.StrictMode><NotificationsCard {...props} {...handlers} /></React.StrictMode>);
window.unmount = () => root.render(null);
window.api = { createMonitoringApi, getNotificationStatus };
