vcl 4.1;

backend default {
    .host = "127.0.0.1";
    .port = "@{origin_port}";
}

# The built-in VCL does the rest. It passes every request with a Cookie; a site that caches removes it first.
sub vcl_recv {
    unset req.http.Cookie;
}
