"use strict";
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({ url: place.dataset.schema, domNode: place, validatorUrl: null });
