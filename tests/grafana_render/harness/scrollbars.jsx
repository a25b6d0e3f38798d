// In the place of react-custom-scrollbars-2, whose measuring does not work under React 18: a picture needs no scrollbars.
export const Scrollbars = ({ children, style }) => <div style={{ ...style, overflow: "hidden" }}>{children}</div>;
export default Scrollbars;
