namespace Fossil.Models.Hub;

/// <summary>Addresses as messages and logs may show them.</summary>
internal static class HubAddress
{
    /// <summary>The address without what grants access: a name and password before the host, the signature in the query of a redirect.</summary>
    public static string WithoutSecrets(this Uri address) =>
        address.IsAbsoluteUri ? address.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped) : "(no address)";
}
